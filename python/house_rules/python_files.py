"""Check the house rules of Python: some operations are allowed only in the modules that handle the special cases."""

from __future__ import annotations

import re
from collections.abc import Iterator

from house_rules.sql import Finding

#: For each rule: its name, the forbidden pattern, the files in which the pattern is allowed, and what to use instead.
_RULES = (
    (
        "file-in-sql",
        re.compile(
            r"(?<!\w)(read_parquet|parquet_scan|read_csv(_auto)?)\(|from '\{|to '\{|attach '(?!:memory:)"
            r"|\bpd\.read_(parquet|csv)\("
        ),
        ("python/feature_mart/core/duckdb_files.py", "python/house_rules/python_files.py"),
        "a path may contain a wildcard, key=value or an apostrophe: write the path into SQL with "
        "feature_mart.core.duckdb_files",
    ),
    (
        "folder-as-columns",
        re.compile(r"\bpq\.(read_table|ParquetDataset)\((?!.*partitioning=None)"),
        (),
        "a folder named key=value would become a column: pass partitioning=None",
    ),
    (
        "connect",
        re.compile(r"\bduckdb\.(connect|sql|execute)\("),
        ("python/feature_mart/core/duckdb_files.py",),
        "the session would use the machine's time zone: use feature_mart.core.duckdb_files.connect",
    ),
    (
        "zone",
        re.compile(r"(?<![\w.])ZoneInfo\("),
        ("python/feature_mart/core/zones.py",),
        "the machine's time zone rules may differ from the mart's: use feature_mart.core.zones.load_zone",
    ),
    (
        "git-environment",
        re.compile(r"\[\s*\"git\","),
        ("python/feature_mart/runner/git.py",),
        "GIT_DIR may name another repository: use feature_mart.runner.git_command",
    ),
)
#: Rules that apply only to the package. Tests, benchmarks and linters may use these operations directly.
_PACKAGE_ONLY = frozenset({"connect", "zone", "git-environment"})
_ALLOWED = re.compile(r"#\s*allow ([\w-]+): \S")


def check_python(path: str, text: str) -> Iterator[Finding]:
    """Yield a finding for each line that breaks a rule, unless the line has ``# allow <rule>: <why>``."""
    for rule, pattern, allowed_in, advice in _RULES:
        if path in allowed_in:
            continue
        if rule in _PACKAGE_ONLY and not path.startswith("python/feature_mart/"):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            allowed = _ALLOWED.search(line)
            if pattern.search(line) and not (allowed and allowed[1] == rule):
                yield Finding(path, number, rule, advice)
