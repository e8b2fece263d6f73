"""Words that engines read differently, or that make a number depend on the order of rows."""

import re
from dataclasses import dataclass

DIALECT = ("macros/dialect/",)
POINT_IN_TIME = ("macros/dialect/", "macros/point_in_time/")


@dataclass(frozen=True, slots=True)
class Word:
    """A rule: where ``pattern`` matches outside ``homes`` (path prefixes), say ``remedy``."""

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
        _calls("struct", "struct_pack") + r"|\bas\s+struct\b",
        "pit_join() or a macro in macros/dialect",
        POINT_IN_TIME,
    ),
    _word("cast", r"::", "cast(… as …)"),
    _word(
        "type",
        r"\bas\s+(?:double|float(?:4|8|32|64)?|real|timestamp(?:tz)?|int(?:4|8|64|eger)?|hugeint|varchar|text"
        r"|bool)\s*\)",
        "types both engines know: bigint, string, boolean, numeric, type_double(), type_instant()",
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
        _calls("random", "rand", "uuid", "gen_random_uuid", "generate_uuid"),
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
)
