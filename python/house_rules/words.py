"""Words of SQL that engines interpret differently, or that make a number depend on the order of rows."""

import re
from dataclasses import dataclass

DIALECT = ("macros/dialect/",)
POINT_IN_TIME = ("macros/dialect/", "macros/point_in_time/")


@dataclass(frozen=True, slots=True)
class Word:
    """A rule: report ``remedy`` where ``pattern`` matches, except in paths with a prefix in ``homes``."""

    rule: str
    pattern: re.Pattern[str]
    remedy: str
    homes: tuple[str, ...] = DIALECT


def _word(rule: str, pattern: str, remedy: str, homes: tuple[str, ...] = DIALECT) -> Word:
    return Word(rule, re.compile(pattern, re.IGNORECASE), remedy, homes)


def _calls(*names: str) -> str:
    return rf"(?<![\w.])(?:{'|'.join(names)})\s*\("


WORDS = (
    _word(
        "log",
        _calls("ln", "log", "log2", "log10"),
        "fixed_log() is the only logarithm: whole numbers, so that sums do not depend on order",
        ("macros/expressions/fixed_log.sql",),
    ),
    _word(
        "time",
        _calls(
            "timezone",
            "date",
            "datetime",
            "timestamp",
            "date_trunc",
            "datetime_trunc",
            "timestamp_trunc",
            "time_bucket",
            "date_?add",
            "date_?sub",
            "date_?diff",
            "timestamp_(?:add|sub|diff|micros|millis|seconds)",
            "datetime_(?:add|sub|diff)",
            "to_(?:micro|milli)?seconds",
            "to_(?:minutes|hours|days|weeks|months|years)",
            "epoch(?:_us|_ms|_ns)?",
            "unix_(?:micros|millis|seconds)",
            "make_timestamp(?:tz)?",
            "extract",
            "date_part",
            "strftime",
            "strptime",
            "format_(?:date|timestamp)",
            "parse_(?:date|timestamp)",
            "age",
        ),
        "engines differ in zone, boundary and weekday: the macros of macros/dialect/time.sql",
    ),
    _word(
        "time",
        r"\binterval\b|\bat\s+time\s+zone\b",
        "add_hours() or add_minutes(): a day's length follows the session's zone on DuckDB",
    ),
    _word(
        "clock",
        r"\bcurrent_(?:timestamp|date|time|datetime)\b|"
        + _calls("now", "today", "get_current_timestamp"),
        "the build's own instant, as_of_at of int_mart__clock, or every run gives other rows",
    ),
    _word("asof", r"\basof\b", "pit_join() has both engines' shapes", POINT_IN_TIME),
    _word(
        "struct",
        _calls("struct", "struct_pack", "row") + r"|\bas\s+struct\b|\{",
        "pit_join() or a macro in macros/dialect",
        POINT_IN_TIME,
    ),
    _word("cast", r"::", "cast(… as …)"),
    _word(
        "type",
        r"\bas\s+(?!bigint\b)(?:double|float(?:4|8|32|64)?|real|(?:big)?(?:numeric|decimal)|timestamp(?:tz)?"
        r"|datetime|time|u?(?:tiny|small|big|huge)?int(?:eger|\d+)?|varchar|char|text|bool|bytea|bytes|blob|uuid"
        r"|json|struct|list|map|array)\s*(?:\([\s\d,]*\)\s*)?\)",
        "types both engines know: bigint, string, boolean, date; type_double(), type_decimal() "
        "(DuckDB's numeric has 3 places, BigQuery's 9), type_instant()",
    ),
    _word(
        "hash",
        _calls("md5", "sha1", "sha256", "sha512", "hash", "farm_fingerprint"),
        "no hashed ids as numbers; order_free_hash() for a seal",
    ),
    _word(
        "float-aggregate",
        _calls(
            "stddev(?:_pop|_samp)?",
            "var(?:iance|_pop|_samp)",
            "corr",
            "covar_(?:pop|samp)",
            "avg",
            "mean",
        ),
        "changes in the last bit with the order of rows: sums of whole numbers, then ratio()",
        (),
    ),
    _word(
        "quantile",
        _calls(
            r"approx_\w+", "quantile(?:_cont|_disc)?", "percentile_(?:cont|disc)", "median", "mode"
        ),
        "not exact, or not on both engines: counts per bucket, as in feat_category__prices",
        (),
    ),
    _word(
        "unordered-pick",
        _calls("any_value", "first", "last", "arg_max", "arg_min", "max_by", "min_by"),
        "which row it takes is not stated: row_number() with an order, value_of_least(), or max()",
    ),
    _word(
        "null-order",
        _calls("greatest", "least"),
        "greatest_known() or least_known(): NULL wins on one engine and is ignored on the other",
    ),
    _word(
        "concat",
        _calls("concat", "concat_ws"),
        "NULL wins on one engine and is ignored on the other: || with coalesce()",
    ),
    _word(
        "text",
        _calls("lower", "upper", "trim", "ltrim", "rtrim"),
        "text is cleaned by a tested macro, or in Python",
        ("macros/",),
    ),
    _word("regexp", _calls(r"regexp_\w+"), "all matches on one engine, the first on the other"),
    _word(
        "safe-cast",
        _calls("try_cast", "safe_cast", "safe_divide", "ieee_divide", "if", "iff"),
        "a macro in macros/dialect, or case when",
    ),
    _word(
        "ilike",
        r"\bilike\b|\bsimilar\s+to\b",
        "BigQuery has neither: like, over text that a macro has lowered",
    ),
    _word("filter", _calls("filter"), "BigQuery has none: sum(case when … then … end)"),
    _word(
        "numbers", _calls("unnest", "generate_series", "generate_array", "range"), "whole_numbers()"
    ),
    _word("division", r"//|(?<!')%(?!')", "whole_quotient(), or mod(a, b)"),
    _word(
        "random",
        _calls("random", "rand", "uuid", "gen_random_uuid", "generate_uuid")
        + r"|\busing\s+sample\b|\btablesample\b",
        "no two builds would agree",
        (),
    ),
    _word("quote", r'"', "BigQuery takes it for a string: adapter.quote('name')"),
    _word("using", r"\busing\s*\(", "write the join out: on a.key = b.key", ()),
    _word("position", r"\b(?:group|order)\s+by\s+(?:\d|all\b)", "name the columns", ()),
    _word(
        "subquery",
        r"\b(?:from|join)\s*\(\s*select\b",
        "a CTE with a verb in its name",
        ("macros/point_in_time/pit_join.sql",),
    ),
    _word(
        "operator",
        r"==|<=>|\*\*|\^|!?~|&&|@|->|\blambda\b",
        "= for equality; a power, a pattern, a lambda or a JSON path reads otherwise on BigQuery, or not "
        "at all (^ is a power on DuckDB and an exclusive or there)",
    ),
    _word(
        "list",
        r"\[",
        "counts from 1 on DuckDB and from 0 on BigQuery, whose arrays hold no NULL: rows, or pit_join()",
    ),
    _word(
        "text-prefix",
        r"\b(?:e|r|b|rb|br|x)'",
        "each engine has its own prefixes: a plain string",
    ),
    _word("number", r"(?<![\w.])\d+_\d", "BigQuery takes it for an alias: digits alone"),
    _word(
        "set",
        r"\bunion\b(?!\s+(?:all|distinct)\b)|\bintersect\b(?!\s+distinct\b)"
        r"|(?<!\*)(?<!\* )\bexcept\b(?!\s+distinct\b)|\b(?:union|all)\s+by\s+name\b",
        "BigQuery wants union all, or distinct after union, intersect and except; columns by place",
    ),
    _word(
        "star-except",
        r"\*\s*(?:except|exclude|replace|rename)\b|(?<![\w.])columns\s*\(",
        "exclude on one engine, except on the other: write the columns out",
    ),
    _word("materialized", r"\bas\s+(?:not\s+)?materialized\b", "BigQuery knows it not: inlined()"),
    _word(
        "join-kind",
        r"\b(?:semi|anti|positional|natural)\s+(?:(?:left|right|full|inner)\s+)?join\b|\blateral\b",
        "BigQuery has none of them: exists or in with an equality, or a CTE",
    ),
    _word(
        "quantified",
        r"[<>=]\s*(?:any|all|some)\s*\(\s*select\b",
        "BigQuery has none: exists, or max()",
    ),
    _word("values", r"\bvalues\s*\(", "BigQuery has none in a query: select … union all select …"),
    _word("null-test", r"\b(?:isnull|notnull)\b", "BigQuery has none: is null, is not null"),
    _word(
        "frame",
        r"\bgroups\s+(?:between|unbounded|current|\d)|\bexclude\s+(?:current|group|ties|no)\b",
        "BigQuery has rows and range frames only",
    ),
)

# Functions with the same result on both engines, to the last bit. Other functions must be called in a macro of
# macros/dialect. Examples of differences: substr (position 0), left and right (negative lengths), sign (a byte on
# DuckDB), array_agg (no NULL in it on BigQuery), exp and pow (the last bit depends on the library).
_SHARED = """
abs bit_xor cast ceil coalesce count dense_rank first_value floor lag last_value lead length max min mod nullif rank
round row_number sqrt starts_with sum
"""
SHARED_FUNCTIONS = frozenset(_SHARED.split())
# Words before a bracket that are not functions.
_KEYWORDS = """
all and any as between by case distinct else except exists filter from having in include intersect is join like
materialized not nulls on or over partition pivot qualify select then union unpivot using values when where window
with within jinja
"""
KEYWORDS = frozenset(_KEYWORDS.split())
