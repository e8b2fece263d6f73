"""Which commit of the project this is."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_mart.errors import UsageError


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit of the project. `commit` is None outside a repository."""

    commit: str | None
    dirty: bool


def git_command(project: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that ask git about the repository which the project lies in.

    Variables such as GIT_DIR and GIT_INDEX_FILE would have git answer for another repository, and a git hook sets some
    of them for everything that it starts.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return ["git", "-C", str(project), *arguments], kept


def read_git(project: Path) -> GitState:
    """Return the project's commit, and whether the tree differs from it."""

    def git(*arguments: str) -> str | None:
        command, environment = git_command(project, *arguments)
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    return GitState(commit, bool(git("status", "--porcelain")) if commit else False)


def read_files_at(project: Path, ref: str, folders: Sequence[str]) -> dict[str, str]:
    """The text files below some folders of the project at a commit, by their paths in the project.

    A folder that was not there yet has none.

    Raises:
        UsageError: there is no such commit, or no repository.
    """
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(_pack(project, ref))) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and name.split("/")[0] in folders:
                content = archive.extractfile(member)
                assert content is not None
                files[name] = content.read().decode("utf-8", errors="replace")
    return files


def resolve_commit(project: Path, ref: str) -> str:
    """Return the full name of a commit of the project's repository.

    Raises:
        UsageError: there is no such commit, or no repository.
    """
    # Resolved before anything else: a name that begins with a dash would be an option of the archive.
    return (
        _ask(
            project,
            ref,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{ref}^{{commit}}",
        )
        .decode()
        .strip()
    )


def extract_commit(project: Path, ref: str, out: Path) -> Path:
    """Write the project's files at a commit into a new folder, and return it.

    Raises:
        UsageError: there is no such commit, no repository, or no dbt project in it.
    """
    packed = _pack(project, ref)
    out.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        # git made it of this repository; the first releases of Python 3.11 know no `filter`.
        archive.extractall(out)
    if not (out / "dbt_project.yml").is_file():
        raise UsageError(f"The commit {ref} has no dbt_project.yml: it is another project's.")
    return out


def _pack(project: Path, ref: str) -> bytes:
    """Return the project's files at a commit as a tar archive."""
    return _ask(project, ref, "archive", "--format=tar", resolve_commit(project, ref), ".")


def _ask(project: Path, ref: str, *arguments: str) -> bytes:
    """Return what git says about a commit."""
    command, environment = git_command(project, *arguments)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or "not in this repository"
        raise UsageError(
            f"{ref!r} is no commit to compare with ({said}): fetch it, or name another."
        ) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"git could not be asked for {ref!r}: {error}.") from None
    return done.stdout
