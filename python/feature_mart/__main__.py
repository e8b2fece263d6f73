"""Run the command line: ``python -m feature_mart`` is the same as ``mart``."""

from feature_mart.cli import main

main()
