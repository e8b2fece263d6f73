"""Check the project's files by the house rules: ``python -m house_rules``.

The files are those that git tracks or does not ignore. The program prints one line per finding. The exit code is 1 if
there is a finding.
"""

import sys
from pathlib import Path

from house_rules.files import check_names, check_text
from house_rules.project_files import project_files
from house_rules.python_files import check_python
from house_rules.sql import Finding, check_sql
from house_rules.unit_tests import check_unit_tests
from house_rules.yaml_files import check_models_yaml

SQL_FOLDERS = ("models/", "macros/", "analyses/", "tests/generic/", "tests/singular/")


def main() -> int:
    """Print one line per finding and return the exit code."""
    paths = project_files()
    found: list[Finding] = list(check_names(paths))
    texts: dict[str, str] = {}
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        texts[path] = text
        found += check_text(path, text)
        if path.endswith(".sql") and path.startswith(SQL_FOLDERS):
            found += check_sql(path, text)
        if path.endswith(".py"):
            found += check_python(path, text)
    found += check_unit_tests(texts)
    found += check_models_yaml(texts)
    print("\n".join(str(finding) for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
