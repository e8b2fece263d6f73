"""Errors, settings, files, time zones, the raw contract and dbt's manifest, for use by every other package."""
