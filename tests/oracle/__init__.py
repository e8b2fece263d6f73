"""Compute every table of the mart by brute force, one entity at a time, from the definitions in docs/architecture.md.

The tests compare the SQL models with these tables; the two share no code. The oracle counts the state of an entity at
a refresh anew, from the versions known then, and carries nothing over from an earlier refresh. README.md describes the
modules and how to add a column.
"""

from __future__ import annotations

from .clock import Clock, LoadClockLine, Row, Tables, World
from .tables import TABLES, expected_tables

__all__ = ["TABLES", "Clock", "LoadClockLine", "Row", "Tables", "World", "expected_tables"]
