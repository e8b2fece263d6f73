"""Find accesses in Python models: to files, the warehouse, the clock, random numbers and other code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

#: Modules that a Python model may import. The functions of these modules are deterministic and have no side effects,
#: except for those that the lists below refuse.
_COMPUTE = frozenset(
    {
        *(
            "__future__",
            "bisect",
            "collections",
            "dataclasses",
            "decimal",
            "enum",
            "fractions",
            "functools",
        ),
        *(
            "hashlib",
            "heapq",
            "html",
            "itertools",
            "json",
            "math",
            "numbers",
            "operator",
            "re",
            "statistics",
        ),
        *(
            "string",
            "struct",
            "textwrap",
            "types",
            "typing",
            "unicodedata",
            "zlib",
            "abc",
            "datetime",
        ),
        *("numpy", "pandas", "pyarrow", "bigframes"),
    }
)
_SUBMODULES_REFUSED = (
    "pyarrow.parquet",
    "pyarrow.dataset",
    "pyarrow.fs",
    "pyarrow.csv",
    "pyarrow.flight",
    "numpy.random",
)
_BUILTINS = {
    **dict.fromkeys(("open", "input", "breakpoint"), "opens a file"),
    **dict.fromkeys(
        ("exec", "eval", "compile", "__import__", "globals", "vars", "locals"),
        "runs or accesses other code",
    ),
}
#: Names of methods and functions that are refused as an attribute of any object except ``self``, each with the reason.
_METHODS = {
    **dict.fromkeys(("now", "utcnow", "today", "fromtimestamp"), "reads the clock"),
    **dict.fromkeys(
        ("random", "default_rng", "shuffle", "sample", "choice", "rand", "randn"),
        "draws random numbers",
    ),
    **dict.fromkeys(
        ("sql", "execute", "cursor", "connect", "query_df", "attach"),
        "queries the warehouse without dbt.ref()",
    ),
    **dict.fromkeys(
        ("memmap", "fromfile", "loadtxt", "genfromtxt", "tofile", "savetxt"), "opens a file"
    ),
    **dict.fromkeys(
        ("system", "popen", "urlopen", "getenv", "__subclasses__", "__globals__"),
        "accesses the machine",
    ),
}
#: Strings that pandas and numpy parse as the current time.
_TIMES = frozenset({"now", "today"})
#: Matches the table that an SQL string reads.
_FROM = re.compile(r"\bselect\b.*?\bfrom\s+(\S+?)[\s)]*(?:$|\s|\))", re.IGNORECASE | re.DOTALL)
#: The call by which a model on BigQuery reads its existing rows.
_OWN_TABLE = "session.read_gbq(str(dbt.this))"
_READERS = (
    "read_",
    "to_parquet",
    "to_csv",
    "to_pickle",
    "to_sql",
    "to_json",
    "to_feather",
    "to_hdf",
)


def python_faults(code: str) -> Iterator[str]:
    """Yield a message for each access to something other than the tables that dbt passes in."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return  # dbt reports the error at compile time.
    # Skip the parts of an f-string, which are checked with the whole string, and docstrings, which are not code.
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    within |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    own = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node) == _OWN_TABLE
    }
    for node in ast.walk(tree):
        if id(node) not in within | own:
            yield from _of(node)


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (_refused(alias.name) for alias in node.names if _is_refused(alias.name))
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        names = [f"{module}.{alias.name}" for alias in node.names]
        refused = [name for name in names if name in _SUBMODULES_REFUSED]
        if _is_refused(module) or node.level:
            yield _refused(module)
        elif refused:
            yield _refused(refused[0])
    elif isinstance(node, ast.Name) and node.id in _BUILTINS:
        yield _said(node, node.id, _BUILTINS[node.id])
    elif isinstance(node, ast.JoinedStr | ast.Constant):
        table = _FROM.search(_text(node))
        if table and table[1] != "{dbt.this}":
            yield _said(node, table[1], "reads a table by its own SQL")
        elif _text(node) in _TIMES:
            yield _said(node, _text(node), "reads the clock")
    elif isinstance(node, ast.Attribute):
        if node.attr in _METHODS and not _is_own_field(node):
            yield _said(node, node.attr, _METHODS[node.attr])
        elif node.attr.startswith(_READERS) and node.attr != "read_pandas":
            yield _said(node, node.attr, "reads or writes a file")


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    """Return the text of a string or f-string, with the source of each f-string expression in braces."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(
        f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else _text(part)
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )


def _is_refused(module: str) -> bool:
    return module.partition(".")[0] not in _COMPUTE or module.startswith(_SUBMODULES_REFUSED)


def _refused(module: str) -> str:
    return (
        f"imports {module}, which is not one of the modules that only compute; read data by dbt.ref(), or add the "
        "module to _COMPUTE in audit/reach/python.py with a reason"
    )


def _said(node: ast.expr, name: str, does: str) -> str:
    return (
        f"{does} ({name}, line {node.lineno}); a Python model may read only the tables of dbt.ref()"
    )


def _is_own_field(node: ast.Attribute) -> bool:
    """Return True if the node is an attribute of ``self``."""
    return isinstance(node.value, ast.Name) and node.value.id == "self"
