"""Read the worked example of CONTRIBUTING.md from its code blocks, and follow it in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compiled_mart import PROJECT

_SECTION = "## A change to a feature\n"
#: Matches a diff block or a paragraph of the section.
_PART = re.compile(
    r"^```diff\n(?P<diff>.*?)^```$|^(?P<text>\S.*?)$(?=\n\n|\n```)", re.MULTILINE | re.DOTALL
)
_PATH = re.compile(r"`([\w./]+/[\w.]+\.\w+)`")
_COMMAND = re.compile(r"`(mart [^`]+)`")


@dataclass(frozen=True, slots=True)
class Edit:
    """A diff block of the example: the lines to remove from and add to one file."""

    path: str
    lines: tuple[str, ...]

    def apply(self, project: Path) -> None:
        """Edit the file in a copy of the project. A block with only new lines is appended to the file."""
        path = project / self.path
        text = path.read_text(encoding="utf-8")
        assert all(line[:1] in {" ", "+", "-"} for line in self.lines), self.lines
        before = "".join(f"{line[1:]}\n" for line in self.lines if not line.startswith("+"))
        after = "".join(f"{line[1:]}\n" for line in self.lines if not line.startswith("-"))
        if before:
            assert f"\n{text}".count(f"\n{before}") == 1, (
                f"CONTRIBUTING.md, {_SECTION.strip('# ')}: these lines are in {self.path} {text.count(before)} times, "
                f"and must be there once; change the example:\n{before}"
            )
            text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
        else:
            text += after
        path.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Example:
    """The worked example: edits, the command to run after them, and edits by which the oracle computes the column."""

    edits: tuple[Edit, ...]
    command: tuple[str, ...]
    oracle: tuple[Edit, ...]

    def apply(self, project: Path) -> None:
        """Make the edits and run the command in a copy of the project, without the edits of the oracle."""
        for edit in self.edits:
            edit.apply(project)
        run(project, *self.command)


def read_example() -> Example:
    """Read the example from CONTRIBUTING.md.

    A diff block edits the first file that is named in the nearest preceding paragraph that begins in bold.
    """
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(_SECTION, 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    edits, commands, path = [], [], ""
    for part in _PART.finditer(section):
        if part["diff"] is not None:
            edits.append(Edit(path, tuple(part["diff"].splitlines())))
        elif part["text"].startswith("**"):
            commands += [] if commands else _COMMAND.findall(part["text"])
            found = _PATH.search(part["text"])
            path = found[1] if found else ""
    return Example(
        tuple(edit for edit in edits if not edit.path.startswith("tests/")),
        tuple(shlex.split(commands[0])),
        tuple(edit for edit in edits if edit.path.startswith("tests/")),
    )


def copy_project(folder: Path) -> Path:
    """Create a git repository in ``folder`` with one commit of all the project's files that git does not ignore."""
    listed = git(PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    git(folder, *who, "commit", "--quiet", "--message", "before the example")
    return folder


def git(project: Path, *arguments: str) -> str:
    """Run git in a folder, and return its stdout."""
    done = subprocess.run(
        ["git", "-C", str(project), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def changed_lines(project: Path) -> dict[str, int]:
    """Return the number of lines added to each changed or new file since the last commit."""
    git(project, "add", "--all")
    lines = git(project, "diff", "--cached", "--numstat").splitlines()
    return {name: int(added) for added, _, name in (line.split("\t") for line in lines)}


def run(project: Path, *command: str, **environment: str) -> str:
    """Run a command in a copy of the project, assert that it succeeds, and return its stdout.

    Python imports the package from the copy. The commands `mart` and `python` run with the current interpreter.
    """
    done = try_to_run(project, *command, **environment)
    assert done.returncode == 0, (
        f"{shlex.join(command)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    )
    return done.stdout


def try_to_run(
    project: Path, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as `run` does, but return the finished process, whatever its exit code is."""
    programs: dict[str, Sequence[str]] = {
        "mart": (sys.executable, "-m", "feature_mart"),
        "python": (sys.executable,),
    }
    return subprocess.run(
        [*programs[command[0]], *command[1:]],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project / "python")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
