"""Compute tables of the mart by brute force, one entity at a time, from the definitions in docs/architecture.md.

The tests compare the SQL models with these tables; the models and the oracle share no code. The oracle computes the
state of an entity at each refresh from the row versions known then, and never updates an earlier state. `TABLES` lists
the tables. README.md describes the modules and how to add a column.
"""

from __future__ import annotations

from .clock import Clock, LoadClockLine, Row, Tables, World
from .tables import TABLES, expected_tables

__all__ = ["TABLES", "Clock", "LoadClockLine", "Row", "Tables", "World", "expected_tables"]
