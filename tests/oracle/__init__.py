"""Compute every table of the mart by brute force, one entity at a time, from the definitions in docs/architecture.md.

It judges the SQL models and shares nothing with them. A state is counted afresh from the versions known at a refresh;
nothing enters, leaves or is carried over. README.md says how the modules are organised and how to add a column.
"""

from __future__ import annotations

from .clock import Clock, LoadClockLine, Row, Tables, World
from .tables import TABLES, expected_tables

__all__ = ["TABLES", "Clock", "LoadClockLine", "Row", "Tables", "World", "expected_tables"]
