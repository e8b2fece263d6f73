"""Where a line of compiled SQL came from: the line of the file, as well as it can be told."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

WORD = re.compile(r"\w+")
NAMING = frozenset({"ref", "source", "this", "var"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the file as written, and whether it is that very line."""

    line: int
    is_exact: bool


def place_of(source: str, compiled: str, line: int) -> Place:
    """The line of the file that a compiled line came from.

    Lines that stand in both, in one order, are each other's. What a macro wrote stands between two
    of them: it is placed at the line between those two that shares most words with it, and at the
    first Jinja there when none shares any. Wrong where two branches of the file hold the same line.

    Args:
        source: the file as written, with its Jinja.
        compiled: what dbt made of it.
        line: number of a line of ``compiled``, from 1.
    """
    written = [text.strip() for text in source.splitlines()]
    made = [text.strip() for text in compiled.splitlines()]
    index = min(max(line, 1), len(made) or 1) - 1
    matcher = SequenceMatcher(None, written, made, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        if not start <= index < end:
            continue
        if tag == "equal":
            return Place(first + index - start + 1, True)
        return Place(_likeliest(written, first, last, made[index]) + 1, False)
    return Place(1, False)


def _likeliest(written: list[str], first: int, last: int, text: str) -> int:
    words = set(WORD.findall(text))

    # A line whose only Jinja names relations can have become nothing else; of two branches that
    # begin alike it may be the other than the one that was taken to be this.
    whole = [
        number
        for number, line in enumerate(written)
        if "{{" in line and set(WORD.findall(line)) - NAMING <= words
    ]
    inside = range(first, last) or range(max(first - 1, 0), first or 1)

    def likeness(number: int) -> tuple[int, bool]:
        shared = len(words & set(WORD.findall(written[number])))
        return shared, "{{" in written[number] or "{%" in written[number]

    return max([number for number in whole if number in inside] or whole or inside, key=likeness)
