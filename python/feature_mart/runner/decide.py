"""Decide, before a build begins, which refresh to build, and between a full and an incremental build."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Settings, parse_as_of
from feature_mart.runner.engine import Engine
from feature_mart.runner.state import BuiltMart, clock_document


def check_as_of(settings: Settings, as_of: str | None) -> datetime | None:
    """Return the refresh that --as-of or else dbt var as_of names; None if neither is given.

    Raises:
        UsageError: the value is not a valid time, or the refresh is in the future.
    """
    given = as_of or settings.as_of
    if not given:
        return None
    name = "--as-of" if as_of else "dbt var as_of"
    wanted = parse_as_of(given, settings.clock, name)
    reached = settings.clock.refresh_before(settings.now)
    if wanted > reached:
        raise UsageError(
            f"{name} {given} is the refresh of {_utc(wanted)}, which is in the future: use {_utc(reached)} (the last "
            "refresh) or an earlier time."
        )
    return wanted


def choose_refresh(
    settings: Settings,
    built: BuiltMart | None,
    newest_load: datetime | None,
    *,
    as_of: str | None = None,
    full_refresh: bool = False,
    select: Sequence[str] = (),
) -> datetime:
    """Return the refresh to build: the one that --as-of or dbt var as_of names, or else the newest.

    The newest refresh is the last one that the wall clock has reached, or the first that contains every raw row if that
    is earlier. The newest refresh is never earlier than the mart's refresh, unless ``full_refresh``. ``newest_load`` is
    the latest load time of the raw rows; None if only the wall clock decides. If ``select`` is not empty, the result is
    the refresh of the present mart.

    Raises:
        UsageError: the requested time is not valid, is in the future, or contradicts ``select``; or there is no mart to
            which ``select`` could apply.
    """
    reached = settings.clock.refresh_before(settings.now)
    name = "--as-of" if as_of else "dbt var as_of"
    wanted = check_as_of(settings, as_of)
    if select:
        if built is None:
            raise UsageError(
                "--select rebuilds models of an existing mart, but there is no mart yet: run `mart build`."
            )
        if wanted not in (None, built.as_of_at):
            raise UsageError(
                f"--select rebuilds models of the mart as of {_utc(built.as_of_at)}: leave out {name}, or leave out "
                "--select."
            )
        return built.as_of_at
    if wanted is not None:
        return wanted
    newest = reached
    if newest_load is not None:
        newest = min(reached, settings.clock.refresh_at(newest_load))
    return newest if built is None or full_refresh else max(newest, built.as_of_at)


def full_build_reason(
    settings: Settings,
    engine: Engine,
    built: BuiltMart | None,
    wanted: datetime,
    definitions: str,
    full_refresh: bool,
) -> str | None:
    """Return the reason for a full build; None if the build may append to the mart.

    Raises:
        UsageError: the clock has changed or ``wanted`` is earlier than the mart's refresh, and ``full_refresh`` is
            False.
    """
    if full_refresh:
        return "--full-refresh"
    if built is None:
        there = engine.has_mart()
        return f"no finished mart that {engine.version} can read" if there else "no mart yet"
    clock = clock_document(settings)
    if built.clock != clock:
        changed = ", ".join(
            f"{name} from {built.clock.get(name)} to {value}"
            for name, value in clock.items()
            if built.clock.get(name) != value
        )
        raise UsageError(
            f"The clock settings in dbt_project.yml have changed ({changed}), which changes the whole history: build "
            "with --full-refresh, or restore the former settings."
        )
    if wanted < built.as_of_at:
        raise UsageError(
            f"The mart is as of {_utc(built.as_of_at)}, later than the requested refresh {_utc(wanted)}: build with "
            "--full-refresh to go back, or request a later refresh."
        )
    if built.address != settings.address:
        return f"the mart was built from {built.address}"
    if built.engine != engine.version:
        return f"the engine is {engine.version}, but the mart was built with {built.engine}"
    if built.definitions != definitions:
        return "definitions have changed"
    return None


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
