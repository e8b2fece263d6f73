"""Split an SQL file with Jinja into SQL, string literals and the arguments of macros.

Each part is a text of the same length as the file, so the offset of a match in a part is also an offset in the file.
"""

import re
from dataclasses import dataclass

JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
COMMENT_OR_STRING = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
# The arguments of these calls are names or options, not SQL.
NAMES = re.compile(r"\b(?:ref|source|var|env_var|config|raw_\w+)\s*\((?:[^()]|\([^()]*\))*\)")
QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
PLACEHOLDER = "jinja"


def blank(text: str) -> str:
    """Return a text in which every character except line breaks is replaced by a space."""
    return re.sub(r"[^\n]", " ", text)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a file, each as long as the file.

    Attributes:
        sql: the SQL, with comments and the inside of strings blank, and Jinja expressions as ``jinja``.
        literals: the SQL with string literals unchanged and comments blank.
        arguments: the quoted texts in Jinja expressions, which are SQL passed to macros.
    """

    sql: str
    literals: str
    arguments: str


def split(source: str) -> Parts:
    """Return the parts of a file."""
    arguments = list(blank(source))

    def hide_jinja(match: re.Match[str]) -> str:
        text = match[0]
        if not text.startswith("{{"):
            return blank(text)
        named = NAMES.sub(lambda call: blank(call[0]), text)
        for quoted in QUOTED.finditer(named):
            group = 1 if quoted[1] is not None else 2
            start = match.start() + quoted.start(group)
            arguments[start : start + len(quoted[group])] = quoted[group]
        return PLACEHOLDER + blank(text)[len(PLACEHOLDER) :]

    def hide_comment(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith("'") else blank(match[0])

    def hide_string(match: re.Match[str]) -> str:
        text = match[0]
        return f"'{blank(text[1:-1])}'" if text.startswith("'") else blank(text)

    without_jinja = JINJA.sub(hide_jinja, source)
    return Parts(
        sql=COMMENT_OR_STRING.sub(hide_string, without_jinja),
        literals=COMMENT_OR_STRING.sub(hide_comment, without_jinja),
        arguments="".join(arguments),
    )


def closing(sql: str, opened: int) -> int:
    """Return the offset of the bracket that closes the one at ``opened``; the length of the text if there is none."""
    depth = 0
    for offset in range(opened, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[offset], 0)
        if depth == 0:
            return offset
    return len(sql)


def top_level(sql: str, start: int, stop: re.Pattern[str]) -> list[str]:
    """Return the comma-separated terms from the offset ``start`` to a closing bracket, or to a match of ``stop``.

    Commas and matches inside nested brackets do not count.
    """
    terms: list[str] = []
    begun = offset = start
    while offset < len(sql) and sql[offset] != ")" and not stop.match(sql, offset):
        if sql[offset] == "(":
            offset = closing(sql, offset)
        elif sql[offset] == ",":
            terms.append(sql[begun:offset].strip())
            begun = offset + 1
        offset += 1
    return [*terms, sql[begun:offset].strip()]
