"""Read the project's commit, and its files at another commit, from git."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_mart.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class GitState:
    """The project's commit, and `dirty`, which is True if the working tree differs from the commit.

    `commit` is None if git reports no commit, for example outside a repository.
    """

    commit: str | None
    dirty: bool


def git_command(project: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment to run git in the project's repository.

    The environment has no ``GIT_`` variables. A git hook sets some of them, such as GIT_DIR and GIT_INDEX_FILE, for all
    processes that it starts; with these variables git would use another repository.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return ["git", "-C", str(project), *arguments], kept


def read_git(project: Path) -> GitState:
    """Return the project's commit and the state of the working tree."""

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
    """Return the text of the files below some folders at a commit, by their paths in the project.

    ``folders`` are names of top-level folders of the project; folders that the commit does not have are skipped.

    Raises:
        UsageError: there is no such commit, or git failed.
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
    """Return the full hash of a commit of the project's repository.

    Raises:
        UsageError: there is no such commit, or git failed.
    """
    # `git archive` must get the hash, because it treats a name that begins with a dash as an option.
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
    """Write the project's files at a commit into the new folder ``out``, and return the folder.

    Raises:
        UsageError: there is no such commit, git failed, or the commit has no dbt_project.yml.
    """
    packed = _pack(project, ref)
    out.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        # `filter` is not set, because the first releases of Python 3.11 do not have it. An archive from git is trusted.
        archive.extractall(out)
    if not (out / "dbt_project.yml").is_file():
        raise UsageError(f"The commit {ref} has no dbt_project.yml: name a commit of this project.")
    return out


def _pack(project: Path, ref: str) -> bytes:
    """Return the project's files at a commit as a tar archive."""
    return _ask(project, ref, "archive", "--format=tar", resolve_commit(project, ref), ".")


def _ask(project: Path, ref: str, *arguments: str) -> bytes:
    """Run git and return the output; ``ref`` is the commit to name in an error message."""
    command, environment = git_command(project, *arguments)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or "not in this repository"
        raise UsageError(
            f"{ref!r} is not a commit ({said}): fetch the commit, or name another one."
        ) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"git could not be run for {ref!r}: {error}.") from None
    return done.stdout
