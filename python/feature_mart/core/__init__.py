"""Provide errors, settings, files, time zones, the raw contract and dbt's manifest to all other packages."""
