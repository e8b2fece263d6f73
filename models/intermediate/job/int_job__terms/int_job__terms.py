"""One row per spine row and term of the job's title. Features look up the prices of the terms."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pandas as pd

# A term is a run of at least two characters of one script; all other characters are separators.
_RUN = re.compile(
    "(?P<kanji>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff\u3005\u3007]{2,})"
    "|[\u3041-\u3096]{2,}|[\u30a1-\u30fa\u30fc-\u30fe]{2,}"
    "|[a-z\u00df-\u024f\u1e00-\u1eff]{2,}|[0-9]{2,}"
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
_BATCH = 50_000


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


def terms(title: str | None) -> set[str]:
    """Return the terms of a title: its runs of one script, and every two neighbours in runs of kanji.

    Kanji are written without spaces, so a run often has several words; most words have two kanji.
    The set is empty without a title.
    """
    if not title:
        return set()
    found = set()
    for match in _RUN.finditer(normalise(title)):
        run = match.group()
        found.add(run)
        if match.lastgroup and len(run) > 2:
            found.update(run[at : at + 2] for at in range(len(run) - 1))
    return found


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


def _rows(page: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each job of the page and each term of its title, ordered as the page, then by term."""
    found = [sorted(terms(title if isinstance(title, str) else None)) for title in page["title"]]
    rows = page[["job_id", "entered_at"]].loc[page.index.repeat([len(own) for own in found])]
    rows.insert(1, "term", pd.Series([term for own in found for term in own], rows.index, "str"))
    return rows


def model(dbt: Any, session: Any) -> Any:
    """Return the terms of the spine rows that entered after the newest row in the table."""
    dbt.config(
        materialized="incremental",
        submission_method="bigframes",
        cluster_by=["entered_at", "job_id"],
    )
    requests = dbt.ref("int_job__requests")
    if hasattr(requests, "to_arrow_reader"):
        if dbt.is_incremental:
            opened_at = f"select max(entered_at) from {dbt.this}"
            requests = requests.filter(f"entered_at > coalesce(({opened_at}), 'epoch')")
        requests = requests.project("job_id, title, entered_at")
    else:
        if dbt.is_incremental:
            opened_at = session.read_gbq(str(dbt.this))["entered_at"].max()
            requests = requests[requests["entered_at"] > opened_at]
        requests = requests[["job_id", "title", "entered_at"]]
    rows = pd.concat([_rows(page) for page in _pages(requests)], ignore_index=True)
    return session.read_pandas(rows) if hasattr(session, "read_pandas") else rows
