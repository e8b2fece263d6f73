"""Read the raw warehouse from its Parquet files, and refuse values that no build can use."""
