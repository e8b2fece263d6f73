"""Runs dbt for one warehouse: lock, copy, build, check, replace; docs; and a report of each run."""

from feature_mart.runner.build import BuildReport, build_mart
from feature_mart.runner.dbt import Progress
from feature_mart.runner.docs import build_docs, serve_docs
from feature_mart.runner.report import GitState, RunLog, logged_run, read_git
from feature_mart.runner.state import BuiltMart, TestCounts, check_address, hold_state, read_built

__all__ = [
    "BuildReport",
    "BuiltMart",
    "GitState",
    "Progress",
    "RunLog",
    "TestCounts",
    "build_docs",
    "build_mart",
    "check_address",
    "hold_state",
    "logged_run",
    "read_built",
    "read_git",
    "serve_docs",
]
