"""Load time zones from the installed package `tzdata` only.

The standard library prefers the zone rules of the machine. These rules differ between machines, but a refresh must have
the same time on each machine. In the 13 zones whose rules changed from 2022 to 2026, Python and the database computed
different refreshes.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@cache
def load_zone(name: str) -> ZoneInfo:
    """Return the zone ``name`` of the IANA database, such as ``Asia/Tokyo``.

    Raises:
        ValueError: the database has no such zone.
    """
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    if not _NAME.fullmatch(name) or not file.is_file():
        raise ValueError(f"{name!r} is not a time zone of the IANA database")
    with file.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
