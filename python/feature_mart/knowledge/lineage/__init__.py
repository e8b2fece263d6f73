"""Compute the column lineage of a dbt project: render, parse and fingerprint the models without a warehouse."""
