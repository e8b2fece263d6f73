"""What the present mart of a warehouse was built from, on whichever engine it is."""

from __future__ import annotations

import json
from typing import Any

from feature_mart.errors import TerminalError, UsageError
from feature_mart.runner.engines import open_engine
from feature_mart.runner.state import BuiltMart, check_address, parse_built
from feature_mart.settings import Settings


def require_built(settings: Settings) -> BuiltMart:
    """What the present mart was built from.

    Raises:
        UsageError: there is none, or the state folder is another warehouse's.
        TransientError: another program has the file open for writing, or BigQuery does not answer.
    """
    check_address(settings)
    built = parse_built(open_engine(settings).read_kept("built"))
    if built is None:
        raise UsageError(
            f"There is no mart at {settings.mart_address} yet: run `mart build` first."
        )
    return built


def read_dbt_manifest(settings: Settings) -> dict[str, Any]:
    """The dbt manifest of the build that made the mart.

    Raises:
        TerminalError: the mart holds none.
    """
    text = open_engine(settings).read_kept("dbt_manifest")
    if text is None:
        raise TerminalError(
            f"{settings.mart_address} holds no dbt manifest: build it with --full-refresh."
        )
    document: dict[str, Any] = json.loads(text)
    return document
