"""Which commit of the project this is."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit of the project. `commit` is None outside a repository."""

    commit: str | None
    dirty: bool


def read_git(project: Path) -> GitState:
    """The project's commit, and whether the tree differs from it."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(project), *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    return GitState(commit, bool(git("status", "--porcelain")) if commit else False)
