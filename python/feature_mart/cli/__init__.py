"""The command line: commands parse, call one function and print. Results go to stdout, progress to stderr."""

from feature_mart.cli.main import main

__all__ = ["main"]
