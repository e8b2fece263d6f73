"""Column lineage of a dbt project: render, parse and fingerprint its models without a warehouse."""
