"""Explain why rows of a training mart are not in the splits of a snapshot."""

from collections.abc import Iterable, Mapping

PURGED = "purged"
#: The meaning of each exclusion reason of the label models, and of "purged".
MEANINGS: Mapping[str, str] = {
    PURGED: (
        "the label became known only after the next split began (less the embargo), so training on it would use "
        "information from the time of that split"
    ),
    "label_not_yet_known": (
        "no outcome was known at the refresh: the job is still running, or, for a price, nobody was hired; each "
        "refresh checks the row again"
    ),
    "label_known_before_request": "the outcome was known before the request, and could be read from its features",
    "job_deleted": "the source deleted the job",
    "contract_deleted": "the source deleted the contract",
    "void": "the contract was declared void: it never existed",
    "cancelled": "the contract was cancelled: its price was not paid",
    "price_missing": "the contract has no price that counts",
}


def explain_left_out(counts: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """Return the name and the meaning of each reason for which rows were left out, in the order of `MEANINGS`.

    Args:
        counts: number of rows by exclusion reason, with purged rows under `PURGED`. Reasons without rows or without a
            known meaning are omitted from the result.
    """
    return tuple((name, text) for name, text in MEANINGS.items() if counts.get(name))


def count_left_out(
    excluded: Mapping[str, int], purged: Iterable[int], into: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the number of left-out rows for each reason. The counts in ``into`` are added.

    Args:
        excluded: number of excluded rows by exclusion reason.
        purged: number of purged rows of each split.
    """
    counts = dict(into or {})
    for name, rows in (*excluded.items(), (PURGED, sum(purged))):
        counts[name] = counts.get(name, 0) + rows
    return counts
