"""Compute int_job__terms, by reading each title character by character."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from .clock import Row

_RANGES = {
    "kanji": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FFFF)),
    "hiragana": ((0x3041, 0x3096),),
    "katakana": ((0x30A1, 0x30FA), (0x30FC, 0x30FE)),
    "latin": ((0x61, 0x7A), (0xDF, 0x24F), (0x1E00, 0x1EFF)),
    "digits": ((0x30, 0x39),),
}


def script(character: str) -> str | None:
    """Return the script of a character of a normalized title; None if the character separates terms."""
    if character in "々〇":
        return "kanji"
    point = ord(character)
    for name, ranges in _RANGES.items():
        if any(low <= point <= high for low, high in ranges):
            return name
    return None


def title_terms(title: str | None) -> set[str]:
    """Return the terms of a title: runs of at least two characters of one script, and pairs of neighbouring kanji."""
    found: set[str] = set()
    run, run_script = "", None
    text = unicodedata.normalize("NFKC", title or "").casefold()
    text = unicodedata.normalize("NFKC", text).replace("\u0307", "")
    for character in text + "\n":
        kind = script(character)
        if kind == run_script and kind is not None:
            run += character
            continue
        if len(run) >= 2:
            found.add(run)
            if run_script == "kanji":
                found |= {a + b for a, b in pairwise(run)}
        run, run_script = (character, kind) if kind else ("", None)
    return found


def job_terms(requests: list[Row]) -> list[Row]:
    """Return a row with job_id, entered_at and term for each request and each term of the request's title."""
    return [
        {"job_id": request["job_id"], "entered_at": request["entered_at"], "term": term}
        for request in requests
        for term in sorted(title_terms(request["title"]))
    ]
