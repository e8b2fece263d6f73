"""Build a feature mart with dbt, export snapshots of it, train on them, and audit both."""

__version__ = "0.1.0"
