"""Every command that works stands in the README's table of commands, and no other does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from feature_mart.cli import main

README = Path(__file__).resolve().parents[3] / "README.md"


def commands() -> list[str]:
    """Every command by its full name."""
    found = []
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            found += [f"{name} {inner}" for inner in command.commands]
        else:
            found.append(name)
    return found


def documented() -> set[str]:
    """The commands at the head of a table row: `mart run`, or `mart snapshot verify|list` for two of them."""
    named: set[str] = set()
    for row in README.read_text(encoding="utf-8").splitlines():
        match = re.match(r"\|\s*`mart ([a-z-]+)((?: [a-z|\\-]+)?)", row)
        if match is None:
            continue
        name, inner = match.group(1), match.group(2).strip().replace("\\", "")
        command = main.commands.get(name)
        if isinstance(command, click.Group) and inner:
            named |= {f"{name} {each}" for each in inner.split("|")}
        else:
            named.add(name)
    return named


@pytest.mark.parametrize("name", commands())
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert name in documented(), f"README.md: add `mart {name}` to the table of commands"


def test_the_readme_names_no_command_that_is_not_there() -> None:
    assert documented() <= set(commands())
