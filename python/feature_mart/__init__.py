"""One feature mart for training and serving: dbt models, snapshots, and what reads them."""

__version__ = "0.1.0"
