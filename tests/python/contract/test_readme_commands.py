"""Test that all commands in the READMEs and on the site's front page exist, and that each README lists all commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from feature_mart.cli import main
from feature_mart.core.errors import FeatureMartError, StopRequestedError

PROJECT = Path(__file__).resolve().parents[3]
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
READMES = ("README.md", "README.ja.md")
#: The names of the docs blocks that contain the site's front page in English and in Japanese.
OVERVIEWS = ("__overview__", "overview_ja")
EXIT_CODES = r"(?:Exit codes|終了コード):"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    """Return a README, or a docs block of the site's front page."""
    if name in READMES:
        return (PROJECT / name).read_text(encoding="utf-8")
    front = (PROJECT / "models/overview.md").read_text(encoding="utf-8")
    block = re.search(rf"{{% docs {name} %}}(.*?){{% enddocs %}}", front, re.DOTALL)
    assert block is not None, f"models/overview.md has no block {name}"
    return block.group(1)


def prose(text: str) -> str:
    """Return the text without fenced code blocks."""
    return FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Return the code spans of a text, with `|` in place of `\\|`, the form of a bar in a Markdown table."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", text)]


def spelled_out(line: str) -> list[str]:
    """Return one command per alternative in a text such as `mart snapshot pin|unpin`, or the text if it has none."""
    alternatives = re.fullmatch(r"(mart [a-z-]+ )([a-z|-]+)(.*)", line)
    if alternatives is None:
        return [line]
    before, names, after = alternatives.groups()
    return [f"{before}{name}{after}" for name in names.split("|")]


def leaves() -> dict[str, click.Command]:
    """Return every command by its name without `mart`, such as `snapshot pin`."""
    found: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
        else:
            found[name] = command
    return found


def in_table(text: str) -> set[str]:
    """Return the commands in the first cells of table rows."""
    heads = re.findall(r"^\|\s*`(mart [^`]+)`\s*\|", text, re.MULTILINE)
    each = [line for head in heads for line in spelled_out(head.replace("\\|", "|"))]
    return {line.removeprefix("mart ") for line in each}


def invocations(text: str) -> Iterator[str]:
    """Yield every ``mart …`` and ``make …`` command in the code spans and code blocks of a text."""
    for language, body in FENCE.findall(text):
        if language == "":
            for line in body.splitlines():
                for part in re.sub(r"\s+#.*", "", line).split(" && "):
                    if part.startswith(("mart ", "make ")):
                        yield from spelled_out(part.strip())
    for span in spans(prose(text)):
        if span.startswith(("mart ", "make ")):
            yield from spelled_out(span)


def fault_of_options(command: click.Command, words: list[str]) -> str | None:
    """Return the usage error of a command with the arguments ``words``, or None. Do not run the command."""
    context = click.Context(command, info_name=command.name)
    try:
        given, extra, _ = command.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        return error.format_message()
    for option in command.params:
        value = given.get(option.name)
        choices = option.type.choices if isinstance(option.type, click.Choice) else ()
        if choices and isinstance(value, str) and value not in choices:
            return f"{option.opts[0]} takes {', '.join(choices)}"
    return f"too many arguments: {' '.join(extra)}" if extra else None


def has_option(command: click.Command, span: str) -> bool:
    """Return True if a command has the option in ``span`` and accepts the value that may follow the option."""
    words = shlex.split(span)
    if len(words) > 1:
        return fault_of_options(command, words) is None
    names = [each.opts for each in command.get_params(click.Context(command))]
    return any(span in each for each in names)


def fault_of_mart(words: list[str]) -> str | None:
    """Return the usage error in the words that follow `mart` on a command line, or None."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    return fault_of_options(command, words)


def fault_of_make(words: list[str]) -> str | None:
    """Return a message if a word after `make` is no target and sets no variable that a recipe reads, else None."""
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable and f"$({name})" not in MAKEFILE:
            return f"no recipe reads {name}"
        if not is_variable and not re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE):
            return f"no target {name}"
    return None


def fault_of(line: str) -> str | None:
    """Return the error in a ``mart …`` or ``make …`` command, or None."""
    program, *words = shlex.split(line)
    return fault_of_mart(words) if program == "mart" else fault_of_make(words)


def lone_options(text: str) -> Iterator[tuple[str, list[click.Command]]]:
    """Yield each code span that begins with an option, and the commands that may have the option.

    These are the commands in the first cell of the same table row or, if there are none, all commands.
    """
    for line in prose(text).splitlines():
        commands = [leaves()[name] for name in in_table(line) if name in leaves()]
        for span in spans(line):
            if span.startswith("--"):
                yield span, commands or list(leaves().values())


def exit_codes(text: str) -> set[int]:
    """Return the codes in the sentence `Exit codes: 0 … · 1 …`."""
    listed = re.search(rf"{EXIT_CODES}(.*?)75[^\n]*", text, re.DOTALL)
    assert listed is not None
    return {int(code) for code in re.findall(r"(?::|·)\s*(\d+)\s", listed.group(0))}


def exit_codes_of_errors() -> set[int]:
    """Return 0 and the exit codes of all error classes."""
    kinds: list[type[FeatureMartError]] = [FeatureMartError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {0, StopRequestedError.exit_code, *(kind.exit_code for kind in kinds)}


@pytest.mark.parametrize("readme", READMES)
@pytest.mark.parametrize("name", leaves())
def test_every_command_stands_in_the_readme(name: str, readme: str) -> None:
    assert name in in_table(read(readme)), f"{readme}: add `mart {name}` to the table of commands"


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_no_command_that_is_not_there(readme: str) -> None:
    assert sorted(in_table(read(readme)) - set(leaves())) == []


@pytest.mark.parametrize("name", [*READMES, *OVERVIEWS])
def test_what_is_to_be_typed_can_be_typed(name: str) -> None:
    text = read(name)
    wrong = {line: fault for line in invocations(text) if (fault := fault_of(line))}
    for option, commands in lone_options(text):
        if not any(has_option(command, option) for command in commands):
            wrong[option] = f"no option of {', '.join(str(each.name) for each in commands)}"
    assert wrong == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("mart knowledge check --base main", ""),
        ("mart snapshot pin", ""),
        ("make mart DWH=folder AS_OF=2026-04-01", ""),
        ("mart export --all --format csv", ""),
        ("mart builds", "no command builds"),
        ("mart snapshot prune", "no command prune"),
        ("mart build --fast", "No such option"),
        ("mart knowledge check --base", "Option '--base' requires an argument"),
        ("mart knowledge why A B", "too many arguments: B"),
        ("mart export --all --format orc", "--format takes parquet, csv"),
        ("make marts", "no target marts"),
        ("make mart SPEED=2", "no recipe reads SPEED"),
    ],
)
def test_a_line_that_cannot_be_typed_is_told_from_one_that_can(line: str, fault: str) -> None:
    found = fault_of(line) or ""
    assert found.startswith(fault) and bool(found) == bool(fault)


@pytest.mark.parametrize("name", [*READMES, "overview_ja"])
def test_lines_to_be_typed_are_found(name: str) -> None:
    found = set(invocations(read(name)))
    assert {"make mart", "mart knowledge check --base main"} <= found


@pytest.mark.parametrize("readme", READMES)
def test_links_of_the_readme_lead_to_files(readme: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(read(readme)))
    files = [link.partition("#")[0] for link in links if "://" not in link]
    assert [file for file in files if file and not (PROJECT / file).exists()] == []
    assert {*READMES} - {readme} <= set(files), "the other language's README is not linked"


def test_both_readmes_name_the_same_settings() -> None:
    english, japanese = (set(re.findall(r"\bMART_[A-Z0-9_]+", read(name))) for name in READMES)
    assert english == japanese
    assert "MART_DWH" in english


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_names_the_exit_codes_that_there_are(readme: str) -> None:
    assert exit_codes(read(readme)) == exit_codes_of_errors()
