"""Define patterns of forbidden SQL, with remedies, and the functions that SQL may call.

The patterns in `WORDS` match SQL that engines interpret differently, SQL whose result is not reproducible (it depends
on the order of rows, the wall clock or chance), and SQL that breaks the house style. `SHARED_FUNCTIONS` is the
allowlist of functions.
"""

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


def _calls(names: str) -> str:
    return rf"(?<![\w.])(?:{'|'.join(names.split())})\s*\("


WORDS = (
    _word(
        "log",
        _calls("ln log log2 log10"),
        "use fixed_log(), which gives whole numbers whose sums do not depend on the order of rows",
        ("macros/expressions/fixed_log.sql",),
    ),
    _word(
        "time",
        _calls(
            "timezone date datetime timestamp date_trunc datetime_trunc timestamp_trunc "
            "time_bucket date_?add date_?sub date_?diff "
            "timestamp_(?:add|sub|diff|micros|millis|seconds) datetime_(?:add|sub|diff) "
            "to_(?:micro|milli)?seconds to_(?:minutes|hours|days|weeks|months|years) "
            "epoch(?:_us|_ms|_ns)? unix_(?:micros|millis|seconds) make_timestamp(?:tz)? extract "
            "date_part strftime strptime format_(?:date|timestamp) parse_(?:date|timestamp) age"
        ),
        "engines differ in time zone, boundaries and weekdays: use the macros of macros/dialect/time.sql",
    ),
    _word(
        "time",
        r"\binterval\b|\bat\s+time\s+zone\b",
        "on DuckDB, the length of a day depends on the session's time zone: use add_hours() or add_minutes()",
    ),
    _word(
        "clock",
        r"\bcurrent_(?:timestamp|date|time|datetime)\b|"
        + _calls("now today get_current_timestamp"),
        "each run would read another time: use as_of_at of int_mart__clock",
    ),
    _word("struct", _calls("struct struct_pack row") + r"|\{", "use pit_join()", POINT_IN_TIME),
    _word(
        "type",
        r"\bas\s+(?!bigint\b)(?:double|float(?:4|8|32|64)?|real|(?:big)?(?:numeric|decimal)|timestamp(?:tz)?"
        r"|datetime|time|u?(?:tiny|small|big|huge)?int(?:eger|\d+)?|varchar|char|text|bool|bytea|bytes|blob|uuid"
        r"|json|struct|list|map|array)\s*(?:\([\s\d,]*\)\s*)?\)",
        "use types of both engines: bigint, string, boolean, date, type_double(), type_decimal() (numeric has 3 "
        "decimal places on DuckDB, 9 on BigQuery), type_instant()",
    ),
    _word(
        "hash",
        _calls("md5 sha1 sha256 sha512 hash farm_fingerprint"),
        "do not use hashed ids as numbers; for a seal, use order_free_hash()",
    ),
    _word(
        "float-aggregate",
        _calls("stddev(?:_pop|_samp)? var(?:iance|_pop|_samp) corr covar_(?:pop|samp) avg mean"),
        "the last bit of the result depends on the order of rows: sum whole numbers, then use ratio()",
        (),
    ),
    _word(
        "quantile",
        _calls(r"approx_\w+ quantile(?:_cont|_disc)? percentile_(?:cont|disc) median mode"),
        "the result is approximate or differs between the engines: use counts per bucket, as in feat_category__prices",
        (),
    ),
    _word(
        "unordered-pick",
        _calls("any_value first last arg_max arg_min max_by min_by"),
        "the chosen row is undefined: use row_number() with an order, value_of_least(), or max()",
    ),
    _word(
        "null-order",
        _calls("greatest least"),
        "a NULL makes the result NULL on one engine and is ignored on the other: use greatest_known() or least_known()",
    ),
    _word(
        "concat",
        _calls("concat concat_ws"),
        "a NULL makes the result NULL on one engine and is ignored on the other: use || with coalesce()",
    ),
    _word(
        "text",
        _calls("lower upper trim ltrim rtrim"),
        "clean text with a tested macro, or in Python",
        ("macros/",),
    ),
    _word(
        "regexp",
        _calls(r"regexp_\w+"),
        "the function replaces all matches on one engine and only the first on the other: use a macro of "
        "macros/dialect",
    ),
    _word(
        "safe-cast",
        _calls("try_cast safe_cast safe_divide ieee_divide if iff"),
        "use a macro of macros/dialect, or case when",
    ),
    _word(
        "random",
        _calls("random rand uuid gen_random_uuid generate_uuid")
        + r"|\busing\s+sample\b|\btablesample\b",
        "each build would give other rows: remove the random function",
        (),
    ),
    _word("quote", r'"', "BigQuery reads double quotes as a string: use adapter.quote('name')"),
    _word("using", r"\busing\s*\(", "write the join out: on a.key = b.key", ()),
    _word("position", r"\b(?:group|order)\s+by\s+(?:\d|all\b)", "name the columns", ()),
    _word(
        "subquery",
        r"\b(?:from|join)\s*\(\s*select\b",
        "replace the subquery with a CTE that has a verb in its name",
        ("macros/point_in_time/pit_join.sql",),
    ),
    _word(
        "operator",
        r"==|<=>|\*\*|\^|!?~|&&|@|->|\blambda\b",
        "a power, pattern, lambda or JSON path has another meaning on BigQuery or does not exist there (^ is a "
        "power on DuckDB, an exclusive or on BigQuery): use = for equality, and functions of both engines",
    ),
    _word(
        "list",
        r"\[",
        "arrays start at 1 on DuckDB and at 0 on BigQuery, where they cannot hold NULL: use rows, or pit_join()",
    ),
    _word(
        "null-test",
        r"\b(?:isnull|notnull)\b",
        "BigQuery has no ISNULL and NOTNULL: use is null or is not null",
    ),
)

# Functions with the same result on both engines, to the last bit. Other functions are allowed only in macros/dialect
# and, if `WORDS` has a rule for them, in the `homes` of the rule. Examples of differences: substr (position 0), left
# and right (negative lengths), sign (type TINYINT on DuckDB), array_agg (no NULLs on BigQuery), exp and pow (the last
# bit depends on the library).
_SHARED = """
abs bit_xor cast ceil coalesce count dense_rank first_value floor lag last_value lead length max min mod nullif rank
round row_number sqrt starts_with sum
"""
SHARED_FUNCTIONS = frozenset(_SHARED.split())
# Words that may precede a bracket and are not functions.
_KEYWORDS = """
all and any as between by case distinct else except exists filter from having in include intersect is join like
materialized not nulls on or over partition pivot qualify select then union unpivot using values when where window
with within jinja
"""
KEYWORDS = frozenset(_KEYWORDS.split())
