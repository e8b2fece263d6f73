"""Build a feature mart with dbt, export snapshots of it, train on them, and audit both.

The modules form layers. Each layer may import the layers below it:

cli                              the commands
pipeline, conformance            the whole run; expected values of an engine
audit, knowledge                 proofs; reasons, lineage, documentation site
exporter, training, sample       snapshots; models; the sample warehouse
runner                           dbt builds on one warehouse
bigquery, storage, raw           clients and files outside the project
snapshot_files                   the format of a snapshot
core                             errors, settings, contracts, paths
"""

__version__ = "0.2.0"
