"""The command line. A command parses, calls one function and prints: results to stdout, progress to stderr."""

from feature_mart.cli.main import main

__all__ = ["main"]
