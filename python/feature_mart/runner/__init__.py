"""Run dbt for one warehouse: lock the state folder, build and check the mart, publish it, and record the run.

==================================  ================================================================
``open_run(settings, command)``      lock the state folder; write a run record, also after a failure
``build_mart(settings, log)``        build and test the mart; publish it if no blocking check failed
``generate_docs(settings, built)``   return dbt's documentation of the built mart
``require_built(settings)``          return the record of the present mart
``read_dbt_manifest(settings)``      return dbt's manifest of the build that made the present mart
==================================  ================================================================
"""

from feature_mart.runner.build import BuildReport, build_mart, dbt_variables
from feature_mart.runner.dbt import Progress
from feature_mart.runner.docs import DbtDocs, generate_docs
from feature_mart.runner.engine import Engine
from feature_mart.runner.git import (
    GitState,
    extract_commit,
    git_command,
    read_files_at,
    read_git,
    resolve_commit,
)
from feature_mart.runner.mart import open_engine, read_dbt_manifest, require_built
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
