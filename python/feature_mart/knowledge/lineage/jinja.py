"""Render a model's Jinja to the SQL of each engine, without dbt, a warehouse or a connection.

A value that only dbt has (a query's result, a flag, a relation) becomes a SQL identifier or call that contains the
template's expression. A branch that no rendering takes is kept as text, to detect changes in the branch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.environment import Template

from feature_mart.knowledge.lineage.sql_shapes import OPENED, REF, SPARSE
from feature_mart.knowledge.lineage.terms import text_digest

MACRO = re.compile(r"\{%-?\s*(macro|materialization)\s+(\w+)(.*?)\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUERY = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_WORD = re.compile(r"\w+")
#: The macros with which models drop unchanged rows of as-of tables.
_SPARSE_MACROS = frozenset({"is_changed", "is_moved"})
#: The macro that returns the watermark of an incremental build.
_OPENED_AT = "opened_at"


@dataclass(frozen=True, slots=True)
class RenderMode:
    """One way in which dbt may render a model: the engine, and the values of `is_incremental()` and `execute`."""

    engine: str
    is_incremental: bool
    is_executing: bool


MODES = (
    RenderMode("duckdb", is_incremental=False, is_executing=True),
    RenderMode("duckdb", is_incremental=True, is_executing=True),
    RenderMode("bigquery", is_incremental=False, is_executing=False),
)


@dataclass(slots=True)
class Rendered:
    """A rendered model: SQL, calls of dbt in `do` and `set`, arguments of `config()`, and outcomes of conditions."""

    sql: str
    done: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    went: frozenset[tuple[str, bool]] = frozenset()


def untaken_branches(went: set[tuple[str, bool]]) -> list[str]:
    """Return, as text, the branches that no rendering took; ``went`` has the conditions' outcomes in all renderings."""
    return sorted(
        _untaken[key][0 if not outcome else 1]
        for key, outcome in went
        if (key, not outcome) not in went
    )


class _ReturnError(Exception):
    """Raised by `return()`, to leave a macro with a value as in dbt."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Unknown(jinja2.Undefined):
    """A value that only dbt has, represented as a SQL identifier or call. It is truthy, and empty when iterated."""

    def __init__(self, *_: Any, name: str | None = None, **__: Any) -> None:
        self.sql = name or "unknown"

    def __str__(self) -> str:
        return self.sql

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and other.sql == self.sql

    def __hash__(self) -> int:
        return hash(self.sql)

    def __getattr__(self, name: str) -> Unknown:
        if name.startswith("__"):
            raise AttributeError(name)
        if _WORD.fullmatch(self.sql):
            return Unknown(name=f"{self.sql}_{name}")
        return Unknown(name=f"attr_{name}({self.sql})")

    def __getitem__(self, key: Any) -> Unknown:  # type: ignore[override]
        return Unknown(name=f"item({self.sql}, {_argument(key)})")

    def __call__(self, *args: Any, **kwargs: Any) -> Unknown:  # type: ignore[override]
        given = ", ".join(_argument(each) for each in (*args, *kwargs.values()))
        if _WORD.fullmatch(self.sql):
            return Unknown(name=f"{self.sql}({given})")
        return Unknown(name=f"call({self.sql}{', ' if given else ''}{given})")

    def _with(self, other: Any) -> Unknown:
        return Unknown(name=f"of({self.sql}, {_argument(other)})")

    def _is_compared(self, *_: Any) -> bool:
        return True


for _operator in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
    for _side in ("", "r"):
        setattr(Unknown, f"__{_side}{_operator}__", Unknown._with)
for _operator in ("lt", "le", "gt", "ge"):
    setattr(Unknown, f"__{_operator}__", Unknown._is_compared)


def _argument(value: Any) -> str:
    """Return an argument as SQL: a query in parentheses, other text unquoted, so that the parser finds the columns."""
    if callable(value) and not isinstance(value, Unknown):
        value = value()
    text = str(value)
    return f"({text})" if _QUERY.match(text) else text or "''"


class _Environment(jinja2.Environment):
    """A Jinja environment whose templates record the outcomes of conditions, and the results of `do` and `set`."""

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        own = _own_names(tree) | {"loop"}
        conditions: list[nodes.If | nodes.CondExpr] = [*tree.find_all(nodes.If)]
        conditions += tree.find_all(nodes.CondExpr)
        for at, found in enumerate(conditions):
            named = {each.name for each in found.test.find_all(nodes.Name)}
            if not named <= own:
                key = f"{text_digest(source)} {at}"
                _untaken[key] = _sides(found, tree)
                found.test = _noted("_went", nodes.Const(key), found.test)
        doing: list[nodes.ExprStmt | nodes.Assign] = [*tree.find_all(nodes.ExprStmt)]
        doing += tree.find_all(nodes.Assign)
        for done in doing:
            done.node = _noted("_did", done.node)
        return tree


def _noted(name: str, *arguments: Any) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), list(arguments), [], None, None)


#: The text of the true and the false branch of each condition, by the condition's key.
_untaken: dict[str, tuple[str, str]] = {}
_environment = _Environment(
    extensions=["jinja2.ext.do"], undefined=Unknown, keep_trailing_newline=True
)


def _own_names(tree: nodes.Node) -> set[str]:
    """Return the names of macro parameters and loop variables. Conditions on these names alone are not recorded."""
    given = [each for macro in tree.find_all(nodes.Macro) for each in macro.args]
    looped = [loop.target for loop in tree.find_all(nodes.For)]
    named = [each for target in looped for each in (target, *target.find_all(nodes.Name))]
    return {each.name for each in (*given, *named) if isinstance(each, nodes.Name)}


def _sides(node: nodes.If | nodes.CondExpr, tree: nodes.Node) -> tuple[str, str]:
    """Return the text of the true and the false branch of a condition, each preceded by the condition itself."""
    yes: list[nodes.Node] = [node.test]
    no: list[nodes.Node] = [node.test]
    if isinstance(node, nodes.CondExpr):
        yes.append(node.expr1)
        no += [node.expr2] if node.expr2 is not None else []
    else:
        yes += node.body
        no += [*node.elif_, *node.else_]
    return " ".join(dump(each, tree) for each in yes), " ".join(dump(each, tree) for each in no)


def dump(node: nodes.Node, tree: nodes.Node | None = None) -> str:
    """Return a node as text without layout and comments, with numbers for names assigned in `tree` (or `node`)."""
    names: dict[str, str] = {}
    for each in (tree or node).find_all(nodes.Name):
        if each.ctx in {"store", "param"}:
            names.setdefault(each.name, f"name{len(names)}")

    def text(value: Any) -> str:
        if isinstance(value, nodes.TemplateData):
            return " ".join(_SQL_COMMENT.sub(" ", value.data).split())
        if isinstance(value, nodes.Name):
            return names.get(value.name, value.name)
        if isinstance(value, nodes.Call) and getattr(value.node, "name", "") in {"_went", "_did"}:
            return text(value.args[-1])
        if isinstance(value, nodes.Node):
            inner = (text(each) for _, each in value.iter_fields(exclude=["ctx"]))
            return f"{type(value).__name__}({' '.join(inner)})"
        if isinstance(value, list | tuple):
            return " ".join(text(each) for each in value)
        return repr(value)

    return text(node)


@lru_cache(maxsize=4096)
def macro_digest(source: str) -> str:
    """Return a macro's source without comments and layout and, if the source parses, with assigned names numbered."""
    if not source.lstrip("{%- ").startswith("macro"):
        return " ".join(_COMMENT.sub(" ", source).split())
    try:
        return dump(_environment.parse(source))
    except jinja2.TemplateError:
        return " ".join(_COMMENT.sub(" ", source).split())


def read_macros(text: str) -> dict[str, str]:
    """Return the source of every macro and materialization in a file, by name."""
    return {
        found[2]
        if found[1] == "macro"
        else f"materialization {found[2]}{found[3].split('%}')[0]}": found[0]
        for found in MACRO.finditer(_COMMENT.sub(" ", text))
    }


@lru_cache(maxsize=4096)
def _compiled(source: str) -> Any:
    return _environment.compile(source)


class _Config:
    """The `config` object of a model that is being rendered. It collects the model's settings."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given

    def __call__(self, **settings: Any) -> str:
        self._given.update(settings)
        return ""

    def get(self, name: str, default: Any = None, **_: Any) -> Any:
        """Return the value of a setting that the template has set so far, or the default."""
        return self._given.get(name, default)

    require = get


class _Adapter:
    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def dispatch(self, name: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Return the variant of a macro for the engine, or the default variant if there is none."""
        return self._renderer.dispatched(name)

    def quote(self, name: str) -> str:
        """Return a name in double quotes."""
        return f'"{name}"'

    def __getattr__(self, name: str) -> Unknown:
        return Unknown(name=f"adapter_{name}")


class Renderer:
    """Renders models in one `RenderMode`.

    Args:
        macros: The source of each macro of the project, by name.
        variables: The vars of ``dbt_project.yml``.
        mode: The engine, and the values of `is_incremental()` and `execute`.
    """

    def __init__(
        self, macros: Mapping[str, str], variables: Mapping[str, Any], mode: RenderMode
    ) -> None:
        self._macros = macros
        self._variables = variables
        self._mode = mode
        self._loaded: dict[str, Callable[..., Any]] = {}
        self._config: dict[str, Any] = {}
        self._went: set[tuple[str, bool]] = set()
        self._done: list[str] = []
        target = Unknown(name="target")
        target.type = target.name = mode.engine  # type: ignore[attr-defined]
        self._globals: dict[str, Any] = {
            **_environment.globals,
            "_went": self._note,
            "_did": self._do,
            "return": self._return,
            "execute": mode.is_executing,
            "target": target,
            "this": Unknown(name="this__table"),
            "adapter": _Adapter(self),
            "config": _Config(self._config),
            "is_incremental": lambda: mode.is_incremental,
            "ref": lambda *names, **_: REF + names[-1],
            "source": lambda *names: "source__" + "__".join(names),
            "var": self._var,
            "env_var": lambda name, default=None: f"env_{name}" if default is None else default,
            "log": lambda *_, **__: "",
            **{name: self._macro(name) for name in macros if _WORD.fullmatch(name)},
            **{name: partial(self._sparse, name) for name in _SPARSE_MACROS & macros.keys()},
            **({_OPENED_AT: self._opened} if _OPENED_AT in macros else {}),
        }

    def render(self, code: str) -> Rendered:
        """Render a model.

        Raises:
            jinja2.TemplateError: the code is not valid Jinja.
        """
        self._config.clear()
        self._went.clear()
        self._done.clear()
        template = Template.from_code(
            _environment, _compiled(_COMMENT.sub(" ", code)), self._globals
        )
        sql = template.render()
        done = tuple(dict.fromkeys(self._done))
        return Rendered(sql, done, dict(self._config), frozenset(self._went))

    def dispatched(self, name: str) -> Callable[..., Any]:
        """Return the macro that dbt would dispatch to for a name, or an `Unknown` if the project has no such macro."""
        for prefix in (self._mode.engine, "default"):
            if f"{prefix}__{name}" in self._macros:
                return self._both(name, self._macro(f"{prefix}__{name}"))
        return Unknown(name=name)

    def _both(self, name: str, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a macro that calls BigQuery's variant ``own``, but returns DuckDB's variant of a query.

        BigQuery's variants pack columns into structs, through which columns cannot be traced. The query gets a filter
        whose name contains a digest of all variants, so that a change in any variant changes the result.
        """
        if self._mode.engine == "duckdb" or f"duckdb__{name}" not in self._macros:
            return own

        def call(*args: Any, **kwargs: Any) -> Any:
            found = own(*args, **kwargs)
            if not isinstance(found, str) or not _QUERY.match(found):
                return found
            other = self._macro(f"duckdb__{name}")(*args, **kwargs)
            used = [each for each in self._macros if each.endswith(f"__{name}")]
            mark = text_digest(" ".join(macro_digest(self._macros[each]) for each in sorted(used)))
            return f"select * from ({other}) as alike where variant_{mark}"

        return call

    def _macro(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return self._load(name)(*args, **kwargs)
            except _ReturnError as found:
                return found.value

        return call

    def _load(self, name: str) -> Callable[..., Any]:
        if name not in self._loaded:
            code = _compiled(self._macros[name])
            module = Template.from_code(_environment, code, self._globals).make_module()
            self._loaded[name] = getattr(module, name)
        return self._loaded[name]

    def _sparse(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Return the condition that replaces a call of a sparse macro: a function of the compared columns."""
        given = [*args, *kwargs.values()]
        columns = [str(column) for each in given if isinstance(each, list) for column in each]
        others = [each for each in given if not isinstance(each, list)]
        mark = text_digest(macro_digest(self._macros[name]) + repr(others))
        return f"{SPARSE}{mark}({', '.join(columns)})"

    def _opened(self, *args: Any, **kwargs: Any) -> str:
        return f"{OPENED}({self._macro(_OPENED_AT)(*args, **kwargs)})"

    def _note(self, key: str, value: Any) -> Any:
        self._went.add((key, bool(value)))
        return value

    def _do(self, value: Any) -> Any:
        """Return a value, and record a call to dbt or the engine, which may have an effect even if it is not used."""
        if isinstance(value, Unknown) and "(" in value.sql:
            self._done.append(" ".join(value.sql.split()))
        return value

    def _return(self, value: Any) -> Any:
        raise _ReturnError(value)

    def _var(self, name: str, default: Any = None) -> Any:
        found = self._variables.get(name, default)
        return Unknown(name=f"var_{name}") if found is None else found
