"""What every layer may use: errors, settings, files, time zones, the raw contract and dbt's manifest."""
