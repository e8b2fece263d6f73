"""One row per spine row and term of its title: what a title's words have cost is looked up by them."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pandas as pd

# A term is a run of one script, of two characters or more; what is in no class separates.
_RUN = re.compile(
    "(?P<kanji>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff\u3005\u3007]{2,})"
    "|[\u3041-\u3096]{2,}|[\u30a1-\u30fa\u30fc-\u30fe]{2,}"
    "|[a-z\u00df-\u024f\u1e00-\u1eff]{2,}|[0-9]{2,}"
)
# NFKC's own answer for full-width ASCII, the wide blank and the half-width voicing marks.
_WIDTHS = re.compile("[\uff01-\uff5e\u3000\uff9e\uff9f]+")
_USUAL_WIDTH = {0xFF01 + n: 0x21 + n for n in range(94)} | {
    0x3000: 0x20,
    0xFF9E: 0x3099,
    0xFF9F: 0x309A,
}
_COMBINING_DOT = "\u0307"
# Runs that may be of combining marks, longer than the 30 at which the Stream-Safe Text Format of Unicode
# Standard Annex 15 ends a run. The ranges, Latin and symbols, have no marks and are common in text.
_MARKS = re.compile(r"[^\w\x00-\u02ff\u2100-\u2bff]{31,}")
_BATCH = 50_000


def _in_canonical_order(marks: str) -> str:
    """Return the marks decomposed and sorted by combining class, as NFKC does before it composes.

    Python's own sort is by insertion: it takes 7 s for 80,000 marks, this one 0.03 s.
    """
    decomposed = "".join([unicodedata.normalize("NFKD", mark) for mark in marks])
    ordered: list[str] = []
    for _, stretch in groupby(decomposed, lambda mark: unicodedata.combining(mark) > 0):
        ordered += sorted(stretch, key=unicodedata.combining)
    return "".join(ordered)


def normalise(text: str) -> str:
    """Return the text in one spelling for full and half width, upper and lower case.

    NFKC comes before the case is folded and after it, since folding can undo it; the dot that is
    left of a Turkish İ goes. Full width goes first, since NFKC takes three times as long for it, and
    long runs of marks are put in order first, since NFKC takes quadratic time for it.
    """
    usual = _WIDTHS.sub(lambda match: match[0].translate(_USUAL_WIDTH), text)
    ordered = _MARKS.sub(lambda match: _in_canonical_order(match[0]), usual)
    plain = unicodedata.normalize("NFKC", ordered)
    folded = plain.casefold()
    if folded != plain:
        folded = unicodedata.normalize("NFKC", folded)
    return folded.replace(_COMBINING_DOT, "")


def terms(title: str | None) -> set[str]:
    """The terms of a title: its runs of one script and, of runs of kanji, every two neighbours.

    Kanji are written without blanks, so that a run is often several words; most words have two.
    Empty without a title.
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
    """The rows of a DuckDB relation or a BigFrames frame, 50,000 at a time, after an empty page.

    The empty one has the columns' types, for a day on which nothing was posted.
    """
    if hasattr(frame, "to_arrow_reader"):
        yield frame.limit(0).to_arrow_table().to_pandas()
        for batch in frame.to_arrow_reader(_BATCH):
            yield batch.to_pandas()
    else:
        yield frame.head(0).to_pandas()
        yield from frame.to_pandas_batches(page_size=_BATCH)


def _rows(page: pd.DataFrame) -> pd.DataFrame:
    """The terms of a page of job_id, title and entered_at, in the order of the page, then sorted."""
    found = [sorted(terms(title if isinstance(title, str) else None)) for title in page["title"]]
    rows = page[["job_id", "entered_at"]].loc[page.index.repeat([len(own) for own in found])]
    rows.insert(1, "term", pd.Series([term for own in found for term in own], rows.index, "str"))
    return rows


def model(dbt: Any, session: Any) -> Any:
    """The terms of the spine rows that entered after those the table holds."""
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
