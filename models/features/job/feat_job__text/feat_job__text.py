"""One row per spine row: features of the request's text, in Python because DuckDB does not have NFKC."""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

_LATIN = "a-z\u00df-\u024f\u1e00-\u1eff"
_SCRIPTS = re.compile(
    "(?P<kanji>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff\u3005\u3007]+)"
    "|(?P<kana>[\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe]+)"
    f"|(?P<latin>[{_LATIN}]+)|(?P<digit>[0-9]+)"
)
# The characters that `normalise` converts before NFKC, which is slow for them: full-width ASCII, the
# ideographic space and the half-width voicing marks.
_WIDTHS = re.compile("[\uff01-\uff5e\u3000\uff9e\uff9f]+")
_USUAL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)} | {
    0x3000: 0x20,
    0xFF9E: 0x3099,
    0xFF9F: 0x309A,
}
_COMBINING_DOT = "\u0307"
# Match every run of more than 30 combining marks, and some other runs. 30 is the limit of the Stream-Safe
# Text Format in Unicode Standard Annex 15. The excluded ranges, Latin and symbols, have no combining marks
# and are common in text.
_MARKS = re.compile(r"[^\w\x00-\u02ff\u2100-\u2bff]{31,}")
_TAG = re.compile(r"<[^<>]*>")
# Match a numeric HTML reference with more than seven digits, the length of the highest code point, 1114111.
_LONG_REFERENCE = re.compile("&#([0-9]{8,})")
_MULTIPLIERS = {"千": 1_000, "万": 10_000, None: 1}
_MOST = 1e9
_BATCH = 50_000

SCRIPTS = ("kanji", "kana", "latin", "digit")
QUANTITIES = {"characters": "character", "items": "item", "pages": "page", "hours": "hour"}
MARKS = {
    "urgent": "is_urgent",
    "continuous": "is_continuous",
    "beginner": "is_beginner_welcome",
}
COLUMNS = {
    **{f"job_title_{script}_ratio": "float64" for script in SCRIPTS},
    **{f"job_text_{unit}_quantity": "float64" for unit in QUANTITIES.values()},
    **dict.fromkeys(MARKS.values(), "Int64"),
}


def _in_canonical_order(marks: str) -> str:
    """Return the marks decomposed and sorted by combining class, as NFKC does before it composes.

    Python's NFKC uses an insertion sort, which takes 7 s for 80,000 marks; this function takes 0.03 s.
    """
    decomposed = "".join([unicodedata.normalize("NFKD", mark) for mark in marks])
    ordered: list[str] = []
    for _, stretch in groupby(decomposed, lambda mark: unicodedata.combining(mark) > 0):
        ordered += sorted(stretch, key=unicodedata.combining)
    return "".join(ordered)


def normalise(text: str) -> str:
    """Return the text in one spelling for full and half width, upper and lower case.

    NFKC is applied before and after case folding, because case folding can undo NFKC. The combining dot that
    remains of a Turkish İ is removed. Full width is converted first, because NFKC takes three times as long
    for it, and long runs of marks are sorted first, because NFKC takes quadratic time for them.
    """
    usual = _WIDTHS.sub(lambda match: match[0].translate(_USUAL_WIDTH), text)
    ordered = _MARKS.sub(lambda match: _in_canonical_order(match[0]), usual)
    plain = unicodedata.normalize("NFKC", ordered)
    folded = plain.casefold()
    if folded != plain:
        folded = unicodedata.normalize("NFKC", folded)
    return folded.replace(_COMBINING_DOT, "")


@dataclass(frozen=True, slots=True)
class Words:
    """The seed's words, compiled for searching.

    `amount` is a pattern with the named groups number, times and unit. `units` maps a unit to its word group.
    `marks` maps a word group to two tuples: the words that match anywhere, and pairs of word and pattern for
    the words that match only as whole words, because they begin or end with a Latin letter.
    """

    amount: re.Pattern[str] | None
    units: dict[str, str]
    marks: dict[str, tuple[tuple[str, ...], tuple[tuple[str, re.Pattern[str]], ...]]]


def _is_latin(character: str) -> bool:
    return re.fullmatch(f"[{_LATIN}]", character) is not None


def _unit(word: str) -> str:
    return re.escape(word) + (f"(?![{_LATIN}])" if _is_latin(word[-1]) else "")


def _whole(word: str) -> re.Pattern[str] | None:
    before = f"(?<![{_LATIN}0-9])" if _is_latin(word[0]) else ""
    after = f"(?![{_LATIN}0-9])" if _is_latin(word[-1]) else ""
    return re.compile(before + re.escape(word) + after) if before or after else None


def _marks(words: Iterable[str]) -> tuple[tuple[str, ...], tuple[tuple[str, re.Pattern[str]], ...]]:
    patterns = [(word, _whole(word)) for word in sorted(words)]
    anywhere = tuple(word for word, pattern in patterns if pattern is None)
    return anywhere, tuple((word, pattern) for word, pattern in patterns if pattern is not None)


def compile_words(rows: Iterable[tuple[str, str]]) -> Words:
    """Compile (word_group, word) pairs. The words are normalised first.

    Raises:
        ValueError: a group is unknown, so that no feature would use its words.
    """
    groups: dict[str, set[str]] = {group: set() for group in (*QUANTITIES, *MARKS)}
    for group, word in rows:
        if group not in groups:
            raise ValueError(f"seeds/text_words.csv: unknown word_group {group!r}")
        groups[group].add(normalise(word))
    units = {word: group for group in QUANTITIES for word in groups[group]}
    # Prefer the longer of two matching units: 時間 before 時.
    longest_first = sorted(units, key=lambda word: (-len(word), word))
    # A number must not follow a digit, point or comma. The lookbehind is after the first digit, because `re`
    # searches faster for a pattern that begins with a set of characters.
    first = "(?P<number>[0-9](?<![0-9.,][0-9])"
    number = first + r"(?:[0-9]{0,2}(?:,[0-9]{3})+|[0-9]*)(?:\.[0-9]+)?)"
    fits = "|".join(_unit(word) for word in longest_first)
    return Words(
        re.compile(rf"{number} *(?:(?P<times>[千万]) *)?(?P<unit>{fits})") if units else None,
        units,
        {group: _marks(groups[group]) for group in MARKS},
    )


def script_ratios(text: str) -> dict[str, float | None]:
    """Return the share of each writing system among the letters of a normalised text.

    Returns:
        Keys ``kanji``, ``kana``, ``latin``, ``digit``; values 0 to 1, all None if there are no
        letters.
    """
    counts = dict.fromkeys(SCRIPTS, 0)
    for match in _SCRIPTS.finditer(text):
        counts[match.lastgroup or ""] += match.end() - match.start()
    letters = sum(counts.values())
    return {script: counts[script] / letters if letters else None for script in SCRIPTS}


def quantities(text: str, words: Words) -> dict[str, float | None]:
    """Return the largest amount of each kind of unit in a normalised text.

    Returns:
        Keys as in ``QUANTITIES``; None if there is no amount above 0 and up to 10^9.
    """
    largest: dict[str, float | None] = dict.fromkeys(QUANTITIES)
    for match in words.amount.finditer(text) if words.amount else ():
        amount = float(match["number"].replace(",", "")) * _MULTIPLIERS[match["times"]]
        group = words.units[match["unit"]]
        if 0 < amount <= _MOST and amount > (largest[group] or 0):
            largest[group] = amount
    return largest


def is_marked(text: str, group: str, words: Words) -> bool:
    """Return True if a normalised text has a word of the group; Latin words match as whole words."""
    anywhere, in_latin = words.marks[group]
    if any(map(text.__contains__, anywhere)):
        return True
    for word, whole in in_latin:  # noqa: SIM110  a loop takes half the time of any()
        if word in text and whole.search(text) is not None:
            return True
    return False


def plain_text(description: str) -> str:
    """Return a description without HTML: tags become spaces, and entities become characters.

    A numeric reference of any length stands for a character or U+FFFD. Python does not parse numbers of more
    than 4,300 digits, so a long number is cut to eight digits without leading zeros.
    """
    untagged = _TAG.sub(" ", description)
    return html.unescape(
        _LONG_REFERENCE.sub(lambda match: f"&#{match[1].lstrip('0')[:8] or '0'}", untagged)
    )


def text_features(
    title: str | None, description: str | None, words: Words
) -> dict[str, float | int | None]:
    """Return every feature of a posting's text by column; `COLUMNS` has the types.

    Ratios are computed from the title. Quantities and marks are computed from title and description together,
    and are None if both are missing.
    """
    own_title = normalise(title or "")
    text = f"{own_title}\n{normalise(plain_text(description or ''))}"
    features: dict[str, float | int | None] = {}
    for script, share in script_ratios(own_title).items():
        features[f"job_title_{script}_ratio"] = share
    for group, amount in quantities(text, words).items():
        features[f"job_text_{QUANTITIES[group]}_quantity"] = amount
    is_missing = title is None and description is None
    for group, column in MARKS.items():
        features[column] = None if is_missing else int(is_marked(text, group, words))
    return features


def _pages(frame: Any) -> Iterator[pd.DataFrame]:
    """Yield a DuckDB relation or a BigFrames frame in pages of 50,000 rows, after an empty page.

    The empty page provides the columns' types on a day without postings.
    """
    if hasattr(frame, "to_arrow_reader"):
        yield frame.limit(0).to_arrow_table().to_pandas()
        for batch in frame.to_arrow_reader(_BATCH):
            yield batch.to_pandas()
    else:
        yield frame.head(0).to_pandas()
        yield from frame.to_pandas_batches(page_size=_BATCH)


def _rows(page: pd.DataFrame, words: Words) -> pd.DataFrame:
    """Return, for each row of a page, job_id, requested_at, entered_at and the features of its texts."""
    titles, descriptions = (
        [text if isinstance(text, str) else None for text in page[name].tolist()]
        for name in ("title", "description")
    )
    found = [text_features(*both, words) for both in zip(titles, descriptions, strict=True)]
    rows = page[["job_id", "requested_at", "entered_at"]].copy()
    for column, dtype in COLUMNS.items():
        rows[column] = pd.Series([row[column] for row in found], rows.index, dtype)
    return rows


def model(dbt: Any, session: Any) -> Any:
    """Return the features of the spine rows that entered after the newest row in the table."""
    dbt.config(
        materialized="incremental",
        submission_method="bigframes",
        cluster_by=["entered_at", "job_id"],
    )
    requests, seed = dbt.ref("int_job__requests"), dbt.ref("text_words")
    columns = ["job_id", "requested_at", "entered_at", "title", "description"]
    if hasattr(requests, "to_arrow_reader"):
        if dbt.is_incremental:
            opened_at = f"select max(entered_at) from {dbt.this}"
            requests = requests.filter(f"entered_at > coalesce(({opened_at}), 'epoch')")
        requests = requests.project(", ".join(columns))
        pairs = seed.project("word_group, word").fetchall()
    else:
        if dbt.is_incremental:
            opened_at = session.read_gbq(str(dbt.this))["entered_at"].max()
            requests = requests[requests["entered_at"] > opened_at]
        requests = requests[columns]
        pairs = list(seed.to_pandas()[["word_group", "word"]].itertuples(index=False, name=None))
    words = compile_words(pairs)
    rows = pd.concat([_rows(page, words) for page in _pages(requests)], ignore_index=True)
    return session.read_pandas(rows) if hasattr(session, "read_pandas") else rows
