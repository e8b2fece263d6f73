"""Find Jinja that uses the warehouse at compile time, the machine, the clock or the run, and hooks that change data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jinja2 import Environment, TemplateSyntaxError

#: Maps each name of dbt's context that makes the SQL of one commit differ between runs to what the name depends on.
_FORBIDDEN = {
    "env_var": "the machine's environment",
    "target": "the target that is built",
    "flags": "how dbt was called",
    "invocation_args_dict": "how dbt was called",
    "invocation_id": "the run",
    "thread_id": "the run",
    "run_started_at": "the wall clock",
    "modules": "the wall clock",
    "selected_resources": "what else is built",
    "graph": "the rest of the project",
    "dbt_version": "the installed version",
    "execute": "the phase of dbt",
    "api": "tables named by their text",
    "builtins": "internals of dbt",
    "context": "internals of dbt",
}
#: Functions that query or change the warehouse at compile time.
_ASKING = frozenset(
    {
        *("run_query", "statement", "load_result", "load_relation", "load_cached_relation"),
        *("get_relation", "list_relations", "list_relations_without_caching", "add_query"),
        *("get_columns_in_query", "get_columns_in_relation", "get_column_values", "execute_macro"),
        *("store_raw_result", "store_result", "run_sql", "scalar_instant"),
    }
)
#: Maps each dbt var that differs from run to run to the remedy: what to use instead of the var.
_RUN_VARS = {
    "as_of": "read as_of_at of int_mart__clock",
    "snapshot_at": "read as_of_at of int_mart__clock",
    "warehouse": (
        "definitions must be the same for every warehouse; put a difference between warehouses into "
        "seeds/load_clock.csv"
    ),
}
#: Maps a model or macro to the names from the lists above that it may use. The comments give the purpose.
_ALLOWED = {
    # Read the watermark after which a run appends.
    "scalar_instant": {"execute", "flags", "run_query"},
    "opened_at": {"scalar_instant"},
    "int_job__requests": {"scalar_instant"},
    # Look up whether a raw table has a column, and whether the load clock has a line for a table.
    "raw_column": {"execute", "flags", "env_var", "target", "api", "get_columns_in_relation"},
    "is_before_trusted": {"execute", "flags", "run_query"},
    "is_line_of": {"warehouse"},
    "snapshot_get_time": {"snapshot_at"},
    # Set the label of a query, and the name of a schema.
    "job_labels": {"env_var", "target", "invocation_id", "run_started_at"},
    "generate_schema_name": {"target"},
    # Defines the refresh of the build.
    "int_mart__clock": {"target", "as_of"},
    # Describe or measure a build; no feature depends on these models and macros.
    "int_mart__profiles": {"as_of"},
    "profiled_columns": {"graph", "execute"},
    "described_columns": {"graph"},
    "grown_shares": {"as_of"},
    # Test a model; the SQL of a test writes no rows.
    "test_stays_filled": {"as_of"},
    "test_one_version_per_load": {"execute", "flags", "get_columns_in_relation"},
}
_LEXER = Environment(autoescape=False, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
_WRITES = re.compile(
    r"\b(update\s+\S+(\s+as)?(\s+\w+)?\s+set|insert\s+(or\s+\w+\s+)?into|delete\s+from|merge\s+into"
    r"|create\s+(or\s+replace\s+)?(temp\w*\s+|global\s+)?\w+|drop\s+\w+|alter\s+\w+|truncate\b|copy\s+\S"
    r"|attach\b|detach\b"
    r"|export\s+\w+|import\s+\w+|call\s+\w+|pragma\s+\w+|load\s+\w+|install\s+\w+|execute\s+\w+|prepare\s+\w+)",
    re.IGNORECASE,
)
_CALL = re.compile(r"\b(\w+)\s*\(")


def jinja_faults(owner: str, text: str) -> Iterator[str]:
    """Yield a message for each forbidden name in a model's or macro's Jinja; ``owner`` has no engine prefix."""
    allowed = _ALLOWED.get(owner, set())
    for name, before, after in _names(text):
        if name in _ASKING and name not in {owner, *allowed} and after == "(":
            yield f"queries the warehouse at compile time ({name}); use ref() in the SELECT"
        elif name in _FORBIDDEN and before != "." and name not in allowed and after != "=":
            yield (
                f"depends on {_FORBIDDEN[name]} ({name}), so one commit can give different results; use a dbt var, or "
                "adapter.dispatch for an engine"
            )
    for name, instead in _RUN_VARS.items():
        if re.search(rf"\bvar\(\s*['\"]{name}['\"]", text) and name not in allowed:
            yield f"depends on a setting of the run (dbt var {name}); {instead}"


def hook_faults(sql: str, macros: Mapping[str, str]) -> Iterator[str]:
    """Yield a message if a hook changes data; ``macros`` maps the project's macro names to their source."""
    text, seen = sql, set[str]()
    while new := {name for name in _CALL.findall(text) if name in macros} - seen:
        seen |= new
        text += " ".join(macros[name] for name in sorted(new))
    written = _WRITES.search(re.sub(r"\{\{.*?\}\}", "x", text, flags=re.DOTALL)) or _WRITES.search(
        text
    )
    if written:
        yield f"changes data ({' '.join(written[0].split())} …); compute these rows in a model's SELECT"


def _names(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield each name in the Jinja code of a text, with the token before and the token after the name."""
    try:
        tokens = [
            (kind, value)
            for _, kind, value in _LEXER.lex(text)
            if kind not in {"whitespace", "data", "comment"}
        ]
    except TemplateSyntaxError:
        return  # dbt reports the error at compile time.
    depth = 0
    for number, (kind, value) in enumerate(tokens):
        if value == "(" and (depth or (number and tokens[number - 1] == ("name", "config"))):
            depth += 1
        elif value == ")" and depth:
            depth -= 1
        # Allow `target` in config(), because storage settings may differ by engine.
        if kind == "name" and not (depth and value == "target"):
            before = tokens[number - 1][1] if number else ""
            after = tokens[number + 1][1] if number + 1 < len(tokens) else ""
            yield value, before, after
