"""Find the line of a source file from which a line of compiled SQL came, exactly or approximately."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

WORD = re.compile(r"\w+")
NAMING = frozenset({"ref", "source", "this", "var"})


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line number of the source file. `is_exact` is False if the line is only approximate."""

    line: int
    is_exact: bool


def source_line(source: str, compiled: str, line: int) -> SourceLine:
    """Return the line of the source file from which a compiled line came.

    Lines that are in both texts, in the same order, are matched. A line that a macro wrote is between two matched
    lines. The result for such a line is the source line between the two that has the most words in common, or the first
    line with Jinja if there are no words in common. A line with Jinja whose words are all in the compiled line takes
    precedence, even elsewhere in the file. The result may be wrong if two branches contain the same line.

    Args:
        source: the text of the file, with Jinja.
        compiled: the SQL that dbt compiled from the file.
        line: the number of a line of ``compiled``, from 1.
    """
    written = [text.strip() for text in source.splitlines()]
    made = [text.strip() for text in compiled.splitlines()]
    index = min(max(line, 1), len(made) or 1) - 1
    matcher = SequenceMatcher(None, written, made, autojunk=False)
    for tag, first, last, start, end in matcher.get_opcodes():
        if not start <= index < end:
            continue
        if tag == "equal":
            return SourceLine(first + index - start + 1, True)
        return SourceLine(_likeliest(written, first, last, made[index]) + 1, False)
    return SourceLine(1, False)


def _likeliest(written: list[str], first: int, last: int, text: str) -> int:
    words = set(WORD.findall(text))

    # A line whose Jinja only names relations is the source if all its words are in the compiled line. Search the whole
    # file for such a line, because the matcher may have chosen the wrong one of two branches that begin alike.
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
