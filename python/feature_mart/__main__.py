"""``python -m feature_mart`` is ``mart``."""

from feature_mart.cli import main

main()
