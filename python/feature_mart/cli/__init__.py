"""Define the command line. A command parses, calls functions and prints: results to stdout, progress to stderr."""

from feature_mart.cli.main import main

__all__ = ["main"]
