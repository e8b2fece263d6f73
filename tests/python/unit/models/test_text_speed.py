"""Test that the models of terms and text features read a text in time linear in its length, not quadratic.

The CPU time for a text is compared with the CPU time for a text four times as long, so that a slow or loaded machine
does not matter: linear time gives a ratio of 4, quadratic time 16. A test fails if the ratio is still 8 or more after
five measurements.
"""

from __future__ import annotations

import re
import timeit
from collections.abc import Callable
from itertools import combinations
from time import process_time

import pytest

from text_models import TERMS, TEXT, read_seed_words

WORDS = TEXT.compile_words(read_seed_words())
COUNT = 500
BOUND = 8

# Pieces that the models' patterns, HTML decoding, NFKC or case folding treat in different ways.
PIECES = (
    *("1", "0", "０", "1,", ",111", ",", ".", "1.", "．", "1 ", "千", "万", "1千 "),
    *(" ", "\u3000", "\u00a0", "\u2003", "\t", "\n"),
    *("a", "Ａ", "é", "ß", "İ", "ΐ", "か", "ｶ", "カー", "漢", "々", "𠮷", "가", "\u1100", "\u1161"),
    *("<", ">", "<a", "</b>", "&", ";", "&#", "&#1", "&#x1", "&a", "&nbsp;", "&amp;amp;", "&#x301;"),
    *("\u0301", "\u0316", "\u0345", "\u0344", "\u0f73", "\u3099", "ﾞ", "\u200d", "🔥", "ﷺ", "…", "・"),
    *("文字", "字", "p", "急", "至急", "asap", "long-term", "no experience"),
)  # fmt: skip
# One piece for each kind of text that was once slow to read.
SLOWEST = ("1", ",111", ".", " ", "千", "文字", "<", "&#1", "\u0301", "\u0316", "asap")


def read(text: str) -> None:
    TEXT.text_features(None, text, WORDS)
    TEXT.script_ratios(text)
    TERMS.terms(text)


def growth(pattern: tuple[str, ...], reader: Callable[[str], object] = read) -> float:
    """Return the ratio of the CPU times of two texts, of which the second is four times as long as the first.

    Both texts repeat each part of the pattern before the next part begins.
    """

    def cpu_seconds(count: int) -> float:
        text = "".join(part * count for part in pattern)
        return timeit.Timer(lambda: reader(text), timer=process_time).timeit(1)

    short, long = [], []
    for _ in range(5):
        # A slow short run would make quadratic time look linear, so use the minimum of three runs of the short text.
        short += [cpu_seconds(COUNT) for _ in range(3)]
        long.append(cpu_seconds(4 * COUNT))
        if min(long) < BOUND * min(short):
            break
    return min(long) / min(short)


def check_all(patterns: list[tuple[str, ...]]) -> None:
    for pattern in patterns:
        ratio = growth(pattern)
        assert ratio < BOUND, f"{pattern} takes {ratio:.1f} times as long at {4 * COUNT} repeats"


def pairs_with(piece: str, pieces: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return patterns that repeat a piece and then another one, and patterns that alternate it with a later one."""
    others = [other for other in pieces if other != piece]
    behind = [other for first, other in combinations(pieces, 2) if first == piece]
    return [(piece, other) for other in others] + [(piece + other,) for other in behind]


@pytest.mark.parametrize("piece", PIECES)
def test_repeated_piece_takes_linear_time(piece: str) -> None:
    check_all([(piece,)])


@pytest.mark.parametrize("piece", SLOWEST)
def test_two_repeated_pieces_take_linear_time(piece: str) -> None:
    check_all(pairs_with(piece, SLOWEST))


@pytest.mark.audit
@pytest.mark.parametrize("piece", PIECES)
def test_any_two_repeated_pieces_take_linear_time(piece: str) -> None:
    check_all(pairs_with(piece, PIECES))


def test_square_is_seen_as_such() -> None:
    assert growth(("1",), re.compile("[0-9]+x").search) > BOUND
