"""One feature mart for training and serving: dbt models, point-in-time snapshots, and what reads
them.
"""

__version__ = "0.1.0"
