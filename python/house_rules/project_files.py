"""List the files of the project, and hash the files that a check reads."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

#: Patterns of files that every check depends on: the code of the checks, and the versions of tools.
ALWAYS = ("python/house_rules/*", "requirements*.txt", "pyproject.toml")
_IMPORT = re.compile(
    r"^\s*(?:from|import)\s+((?:feature_mart|house_rules)[\w.]*)(.*)", re.MULTILINE
)


def project_files() -> list[str]:
    """Return the paths of the existing files that git tracks or does not ignore."""
    return _listed("ls-files", "-z", "--cached", "--others", "--exclude-standard")


def changed_files() -> list[str]:
    """Return the paths of the existing files that differ from the last commit, including new files."""
    new = _listed("ls-files", "-z", "--others", "--exclude-standard")
    return sorted({*new, *_listed("diff", "-z", "--name-only", "--relative", "HEAD")})


def _listed(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True)
    paths = {path for path in done.stdout.decode().split("\0") if path}
    return sorted(path for path in paths if Path(path).is_file())


def hash_files(paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path."""
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}


def inputs_key(patterns: Sequence[str], hashes: Mapping[str, str]) -> str:
    """Return a hash of the files that match one of the patterns, and of the files that every check depends on.

    Args:
        patterns: patterns of `fnmatch`, in which ``*`` also matches a slash.
        hashes: the hash of every file of the project, by path.
    """
    wanted = (*ALWAYS, *patterns)
    lines = [
        f"{path} {digest}"
        for path, digest in sorted(hashes.items())
        if any(fnmatchcase(path, pattern) for pattern in wanted)
    ]
    return hashlib.sha256("\n".join([sys.version, *lines]).encode()).hexdigest()


def imported_files(module: str, root: Path = Path("python")) -> list[str]:
    """Return the files that a module of the project imports, directly or through others, including the module itself.

    A name that is imported from a package counts as a module if there is such a module. The ``__init__`` of a package
    counts only if something is imported from the package itself, because the ``__init__`` files of this project only
    re-export names.
    """
    found: set[Path] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = root.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.is_file():
            continue
        found.add(file)
        text = file.read_text(encoding="utf-8").replace("(\n", "(").replace(",\n", ",")
        for base, rest in _IMPORT.findall(text):
            waiting.append(base)
            names = rest.partition("import")[2] if "import" in rest else ""
            waiting += [f"{base}.{word}" for word in re.findall(r"\w+", names)]
    return sorted(file.as_posix() for file in found)
