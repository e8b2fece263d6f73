"""Check the house rules of SQL that sqlfluff does not have, in the source files, including macros.

``-- allow <rule>: <reason>`` on a line or the line before makes an exception; several rules are separated by commas.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from house_rules.masking import Parts, closing, split, top_level
from house_rules.words import DIALECT, KEYWORDS, SHARED_FUNCTIONS, WORDS

ALLOW = re.compile(
    r"(?:--|\{#-?)\s*allow\s+(?P<rules>[a-z-]+(?:,\s*[a-z-]+)*)(?::\s*(?P<reason>\w.*))?"
)
MAX_COLUMNS = 100
QUOTED_VAR = re.compile(r"'[^'{]*\{\{[^}]*\b(?:env_)?var\s*\(")
VAR_REMEDY = (
    "a quote in the value would end the literal: write {{ text_literal(var('…')) }} without quotes"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: the file, the line (0 for the whole file), the rule, and what to write instead."""

    path: str
    line: int
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.remedy}"


def check_sql(path: str, source: str) -> list[Finding]:
    """Return the findings in an SQL file, in the order of its lines.

    Args:
        path: the path relative to the project, with forward slashes. The path decides which rules apply.
        source: the text of the file.
    """
    parts = split(source)
    offsets = [
        *_words(path, parts),
        *_stars(path, source, parts),
        *_distinct(parts),
        *_orders(parts),
        *_collections(parts),
        *_constants(parts),
        *_functions(path, parts),
        *_strings(parts),
        *_quoted_vars(source, parts),
    ]
    found = {
        Finding(path, source.count("\n", 0, offset) + 1, rule, remedy)
        for offset, rule, remedy in offsets
    }
    found.update(_columns(path, source))
    for number, line in enumerate(source.splitlines(), 1):
        if any(not allow["reason"] for allow in ALLOW.finditer(line)):
            found.add(
                Finding(
                    path, number, "allow", "the reason is missing: write -- allow <rule>: <reason>"
                )
            )
    allowed = allowed_lines(source)
    kept = (finding for finding in found if (finding.line, finding.rule) not in allowed)
    return sorted(kept, key=lambda finding: (finding.line, finding.rule, finding.remedy))


def allowed_lines(source: str) -> set[tuple[int, str]]:
    """Return the line and the rule of each exception in a file. Exceptions without a reason do not count."""
    return {
        (place, rule.strip())
        for number, line in enumerate(source.splitlines(), 1)
        for allow in ALLOW.finditer(line)
        if allow["reason"]
        for rule in allow["rules"].split(",")
        for place in (number, number + 1)
    }


#: A violation in an SQL text: the offset, the name of the rule, and the remedy.
Hit = tuple[int, str, str]


def _words(path: str, parts: Parts) -> Iterator[Hit]:
    for word in WORDS:
        if path.startswith(word.homes):
            continue
        for text in (parts.sql, parts.arguments):
            for match in word.pattern.finditer(text):
                said = " ".join(match[0].split()).rstrip("( ")
                yield match.start(), word.rule, f"`{said}`: {word.remedy}"


def _stars(path: str, source: str, parts: Parts) -> Iterator[Hit]:
    if path.startswith(("macros/dialect/", "macros/point_in_time/", "tests/generic/")):
        return
    is_model = path.startswith("models/") and "{% snapshot" not in source
    last = re.search(r"select \* from final\s*\Z", parts.sql)
    if is_model and not last:
        yield (
            len(source.rstrip()),
            "final",
            "a model must end with the CTE final, with its columns listed, and select * from final",
        )
    for star in re.finditer(r"\bselect\s+(?:distinct\s+)?\*|\w\s*\.\s*\*|,\s*\*(?!\w)", parts.sql):
        imported = re.compile(r"select \* from jinja\s*\)").match(parts.sql, star.start())
        after = parts.sql[: star.start()].rstrip()
        # Allow `features.*` in a training mart, which has every column of the features mart.
        if path.endswith("__training.sql") and parts.sql[: star.end()].endswith(" features.*"):
            continue
        if not (imported and after.endswith("(")) and not (last and star.start() == last.start()):
            yield (
                star.start(),
                "star",
                "only an import CTE (select * from {{ ref(…) }}) and the last line may use select *: list the columns",
            )


def _distinct(parts: Parts) -> Iterator[Hit]:
    for match in re.finditer(r"\bdistinct\b", parts.sql):
        if not re.search(r"(?:count\s*\(\s*|\bis\s+(?:not\s+)?)\Z", parts.sql[: match.start()]):
            yield (
                match.start(),
                "distinct",
                "`distinct` hides a fan-out: group by the key, or join to a relation with one row per key",
            )


def _orders(parts: Parts) -> Iterator[Hit]:
    stop = re.compile(r"\b(?:rows|range|groups|limit|union|qualify|window|frame)\b")
    for match in re.finditer(r"\border\s+by\b", parts.sql):
        for term in top_level(parts.sql, match.end(), stop):
            if term != "jinja" and not re.search(r"\bnulls\s+(?:first|last)\Z", term):
                yield (
                    match.start(),
                    "nulls",
                    f"`{' '.join(term.split())}`: engines order NULLs differently: add nulls first or nulls last",
                )


def _collections(parts: Parts) -> Iterator[Hit]:
    for match in re.finditer(
        r"\b(?:array_agg|string_agg|listagg|group_concat|list)\s*\(", parts.sql
    ):
        if "order by" not in parts.sql[match.end() : closing(parts.sql, match.end() - 1)]:
            yield (
                match.start(),
                "unordered-list",
                "the order of the collected values is undefined: add an ORDER BY that ends with a unique key",
            )


def _constants(parts: Parts) -> Iterator[Hit]:
    ids = r"\b\w+_id\s*(?:=|<>|!=|(?:not\s+)?in\s*\()\s*(?=['\d])"
    for match in re.finditer(ids, parts.sql):
        yield (
            match.start(),
            "row-id",
            "the code contains a row id: move the id to a seed, with a reason",
        )
    for match in re.finditer(r"\b\w+_amount\s*(?:=|<>|!=|<=?|>=?)\s*(?!1\b)[1-9]\d*", parts.sql):
        yield (
            match.start(),
            "constant",
            "the code contains an amount: move the amount to a seed or a var, with a reason",
        )
    for text in (parts.literals, parts.arguments):
        for match in re.finditer(r"(?<!\d)(?!1970-01-01)\d{4}-\d{2}-\d{2}(?!\d)", text):
            yield (
                match.start(),
                "constant",
                "the code contains a date: move the date to a seed or a var, with a reason",
            )


def _functions(path: str, parts: Parts) -> Iterator[Hit]:
    if path.startswith(DIALECT):
        return
    for text in (parts.sql, parts.arguments):
        for call in re.finditer(r"(?<![\w.])([a-z_]\w*)\s*\(", text, re.IGNORECASE):
            name = call[1].lower()
            known = name in SHARED_FUNCTIONS or name in KEYWORDS
            # Do not report functions that WORDS covers, because its remedies are more specific.
            if not known and not any(word.pattern.match(f"{name}(") for word in WORDS):
                yield (
                    call.start(),
                    "function",
                    f"`{name}` may differ between the engines: use a macro of macros/dialect, or test the function "
                    "on both, then add the name to SHARED_FUNCTIONS in words.py",
                )


def _strings(parts: Parts) -> Iterator[Hit]:
    for text in re.finditer(r"'((?:[^']|'')*)'", parts.literals):
        if "\\" in text[1] or "''" in text[1]:
            yield (
                text.start(),
                "escape",
                "a backslash is an escape only on BigQuery, a doubled quote only on DuckDB: use text with neither",
            )


def _quoted_vars(source: str, parts: Parts) -> Iterator[Hit]:
    # Search the string literals of the SQL, then the strings in Jinja expressions.
    for text in re.finditer(r"'(?:[^']|'')*'", parts.literals):
        if QUOTED_VAR.search(source[text.start() : text.end()]):
            yield text.start(), "var-literal", VAR_REMEDY
    for text in re.finditer(r"'\"\s*~\s*(?:env_)?var\s*\(", source):
        yield text.start(), "var-literal", VAR_REMEDY


def _columns(path: str, source: str) -> Iterator[Finding]:
    # Check the line length of the files that sqlfluff does not check: macros and generic tests.
    if path.startswith(("macros/", "tests/generic/")):
        for number, line in enumerate(source.splitlines(), 1):
            if len(line) > MAX_COLUMNS:
                remedy = f"{len(line)} characters; the limit is {MAX_COLUMNS}"
                yield Finding(path, number, "columns", remedy)
