"""Runs dbt for one warehouse: lock, copy, build, check, replace; docs; and a report of each run.

==================================  ================================================================
``open_run(settings, command)``      be the one writer of a state folder, and report however it ends
``build_mart(settings, log)``        build and test on a copy; replace the mart when all is well
``generate_docs(settings, built)``   what dbt writes of the built mart for its documentation
``require_built(settings)``          what the present mart was built from
``read_dbt_manifest(settings)``      dbt's manifest of that build
==================================  ================================================================
"""

from feature_mart.runner.build import BuildReport, build_mart, dbt_variables
from feature_mart.runner.built import read_dbt_manifest, require_built
from feature_mart.runner.dbt import Progress
from feature_mart.runner.docs import DbtDocs, generate_docs
from feature_mart.runner.engine import Engine
from feature_mart.runner.engines import open_engine
from feature_mart.runner.git import (
    GitState,
    extract_commit,
    git_command,
    read_files_at,
    read_git,
    resolve_commit,
)
from feature_mart.runner.report import RunLog, open_run
from feature_mart.runner.state import (
    BuiltMart,
    CheckCounts,
    check_address,
)

__all__ = [
    "BuildReport",
    "BuiltMart",
    "CheckCounts",
    "DbtDocs",
    "Engine",
    "GitState",
    "Progress",
    "RunLog",
    "build_mart",
    "check_address",
    "dbt_variables",
    "extract_commit",
    "generate_docs",
    "git_command",
    "open_engine",
    "open_run",
    "read_dbt_manifest",
    "read_files_at",
    "read_git",
    "require_built",
    "resolve_commit",
]
