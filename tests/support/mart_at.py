"""Run `mart` with another wall-clock time: ``python tests/support/mart_at.py 2026-04-01T00:00:00+00:00 build …``."""

from __future__ import annotations

import sys
from datetime import datetime, tzinfo

from feature_mart.cli import main
from feature_mart.core import settings

THEN = datetime.fromisoformat(sys.argv.pop(1))


class Then(datetime):
    """A datetime class whose now() returns the time given on the command line."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Then:
        return cls.fromisoformat(THEN.astimezone(tz).isoformat())


settings.datetime = Then  # type: ignore[misc]
main()
