"""Test that the documentation agrees with the project: links, documents, layers, settings, exit codes, glossary."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

import feature_mart
from feature_mart.core import errors
from feature_mart.core.dbt_vars import DEFAULTS
from feature_mart.core.manifest import Consumer
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL, REQUIRED, Kind, version_key
from feature_mart.core.services import DATASETS

PROJECT = Path(__file__).resolve().parents[3]
PACKAGE = PROJECT / "python" / "feature_mart"
ARCHITECTURE, GLOSSARY = "docs/architecture.md", "docs/glossary.md"
RAW_CONTRACT = "docs/raw_contract.md"
#: Maps each kind of raw column to its name in the "type" column of the tables in RAW_CONTRACT.
KINDS = {Kind.TEXT: "text", Kind.NUMBER: "number", Kind.INSTANT: "instant", Kind.FLAG: "flag"}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: Matches the name or path of a Markdown file. A name after `<`, `*` or `}` is part of a pattern or of code and does
#: not match.
CITED = re.compile(r"(?<![\w<*}/.-])[\w./-]*\w\.md\b")
#: Folders whose files may cite documents that do not exist, because tests invent names and add files to copies of the
#: project.
MADE_UP = ("tests/",)


@cache
def tracked() -> tuple[str, ...]:
    """Return the paths of tracked files, and of untracked files that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    paths = (path for path in listed.stdout.decode().split("\0") if path)
    return tuple(sorted(path for path in paths if (PROJECT / path).is_file()))


@cache
def read(path: str) -> str:
    """Return a file as text, or an empty string if the file is not UTF-8 text."""
    try:
        return (PROJECT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def slugs(text: str) -> set[str]:
    """Return the anchors that GitHub creates for the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        numbered = (f"{slug}-{number}" for number in range(1, 99))
        found.add(slug if slug not in found else next(n for n in numbered if n not in found))
    return found


def bad_links(path: str, text: str) -> Iterator[str]:
    """Yield a message for each relative link of a page whose file or anchor does not exist."""
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (PROJECT / path).parent / name if name else PROJECT / path
        if not place.exists():
            yield f"{path}: {target} is not there"
        elif anchor and anchor not in slugs(place.read_text(encoding="utf-8")):
            yield f"{path}: {target} has no such heading"


def bad_citations(path: str, text: str) -> Iterator[str]:
    """Yield a message for each document that a file cites but that does not exist in the project."""
    names = {each.rpartition("/")[2] for each in tracked()}
    for cited in CITED.findall(text):
        places = ((PROJECT / path).parent, PROJECT, PROJECT / "docs")
        is_there = any((place / cited).is_file() for place in places)
        if not is_there and ("/" in cited or cited not in names):
            yield f"{path}: cites {cited}"


def section(page: str, heading: str) -> str:
    """Return the text under a heading, up to the next heading of the same or a higher level."""
    level = heading.split(" ", 1)[0]
    found = re.search(
        rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", read(page), re.M | re.S
    )
    assert found is not None, f"{page} has no {heading}"
    return found.group(1)


@pytest.mark.parametrize("path", [path for path in tracked() if path.endswith(".md")])
def test_every_link_leads_somewhere(path: str) -> None:
    # The Markdown files of models are pages of the site, where links use the site's own paths.
    if not path.startswith("models/"):
        assert list(bad_links(path, read(path))) == []


def test_no_file_cites_a_document_that_is_not_there() -> None:
    paths = [path for path in tracked() if not path.startswith(MADE_UP)]
    assert [fault for path in paths for fault in bad_citations(path, read(path))] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("see [there](nowhere.md)", "nowhere.md is not there"),
        ("see [there](audits.md#no-such-place)", "no such heading"),
        ("see [below](#no-such-place)", "no such heading"),
        ("see [there](audits.md#mart-audit-leakage) and [it](https://example.org/x.md)", ""),
    ],
)
def test_a_dead_link_is_told_from_a_good_one(text: str, fault: str) -> None:
    found = list(bad_links(ARCHITECTURE, text))
    assert fault in "".join(found) and bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("# from the table in PLAN.md", True),
        ("# docs/plan.md says why", True),
        ("# docs/audits.md says why", False),
        ("-- as README.md has it", False),
        ('"<model>.md" and f"{name}.md" and *.md', False),
    ],
)
def test_a_missing_document_is_told_from_a_present_one(text: str, is_bad: bool) -> None:
    assert bool(list(bad_citations("python/feature_mart/pipeline.py", text))) == is_bad


def test_the_drawn_layers_are_those_that_are_checked() -> None:
    contract = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    checked = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    there = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    present = [[name for name in names if name in there] for names in checked]
    drawing = section(ARCHITECTURE, "## Layers of the Python package")
    drawn = [re.findall(r"\w+", label) for label in re.findall(r'\["([^"]+)"\]', drawing)]
    assert drawn == [names for names in present if names]
    told = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*)\|", drawing, re.MULTILINE)))
    )
    assert {name for names in drawn for name in names} - told == {"__main__"}


def test_every_setting_stands_in_the_docs() -> None:
    sources = [path for path in tracked() if path.startswith(("python/feature_mart/", "profiles/"))]
    sources += ["Makefile", "macros/project/job_labels.sql"]
    names = {
        name for path in sources for name in re.findall(r"\bMART_[A-Z0-9_]*[A-Z0-9]\b", read(path))
    }
    pages = (ARCHITECTURE, "docs/bigquery.md", "docs/snapshots.md", "README.md")
    told = set(re.findall(r"`(MART_[A-Z0-9_]+)", "".join(read(page) for page in pages)))
    # Only tests read MART_SCREENSHOTS, the folder for screenshots of the site, so the docs need not mention it.
    assert names - told - {"MART_SCREENSHOTS"} == set()
    variables = set(re.findall(r"`(\w+)`", section(ARCHITECTURE, "## Settings")))
    assert set(DEFAULTS) - variables == set()
    assert set(DATASETS) - variables == set()


def test_every_key_of_an_exposure_stands_in_the_docs() -> None:
    told = re.findall(r"`(\w+)`", section(ARCHITECTURE, "## Layers of models"))
    keys = {field.name for field in fields(Consumer)} - {"name"}
    assert (keys | {"consumer"}) - set(told) == set()


@pytest.mark.parametrize("kind", ["run_report", "snapshot_manifest", "schema", "latest", "pin"])
def test_every_field_of_a_file_stands_in_the_docs(kind: str) -> None:
    schema = json.loads(read(f"python/feature_mart/core/schemas/{kind}.json"))
    told = set(re.findall(r"`(\w+)`", section(ARCHITECTURE, "## Files")))
    assert set(schema["properties"]) - told - {"schema"} == set()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(
        r"^\| (\d+) \|.*\| ([^|]*)\|$", section(ARCHITECTURE, "## Exit codes"), re.MULTILINE
    )
    told = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    raised = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BaseException) and name != "FeatureMartError"
    }
    assert told == raised


def documented_columns(table: str) -> list[tuple[str, str, str]]:
    """Return (name, type, presence) of each documented column of a raw table, in the order of the page."""
    return re.findall(
        r"^\| `(\w+)` \| (\w+) \| (\w+) \|[^|]*\|[^|]+\|$",
        section(RAW_CONTRACT, f"### `{table}`"),
        re.MULTILINE,
    )


@pytest.mark.parametrize("table", CONTRACT)
def test_the_documented_columns_of_a_raw_table_are_those_of_the_contract(table: str) -> None:
    required = {
        name: "required" if name in REQUIRED[table] else "nullable" for name in CONTRACT[table]
    }
    presence = required | dict.fromkeys(OPTIONAL[table], "optional")
    kinds = {**CONTRACT[table], **OPTIONAL[table]}
    documented = documented_columns(table)
    assert documented == [(name, KINDS[kind], presence[name]) for name, kind in kinds.items()]
    key = tuple(name for name, _, _ in documented[: len(version_key(table))])
    assert key == version_key(table)


def test_the_documented_raw_tables_are_those_of_the_contract() -> None:
    assert set(re.findall(r"^### `(\w+)`$", read(RAW_CONTRACT), re.MULTILINE)) == set(CONTRACT)


def bad_parts(text: str) -> list[str]:
    """Return an empty list if the parts of an ADR are context, decision and consequences in this order.

    Otherwise return the names of the parts found, or ``["none"]`` if there are none.
    """
    wanted = ["Context", "Decision", "Consequences"]
    parts = [part for part in re.findall(r"^\*\*([^*]+)\.\*\*\s+\S", text, re.M) if part in wanted]
    return [] if parts == wanted else parts or ["none"]


@pytest.mark.parametrize("path", [path for path in tracked() if path.startswith("docs/decisions/")])
def test_a_decision_has_a_context_and_consequences(path: str) -> None:
    assert re.match(rf"# {int(Path(path).name[:4])}\. \S", read(path)), (
        "begin with number and title"
    )
    assert bad_parts(read(path)) == []


def test_a_decision_without_one_of_its_parts_is_found() -> None:
    text = "# 1. A\n\n**Context.** b\n\n**Decision.** c\n\n**Alternatives.** d\n\n**Consequences.** e\n"
    assert bad_parts(text) == []
    for part in ("Context", "Decision", "Consequences"):
        assert bad_parts(text.replace(f"**{part}.**", "")) != []


def test_the_glossary_is_in_order_and_each_word_leads_to_its_place() -> None:
    entries = re.split(r"^## ", read(GLOSSARY), flags=re.MULTILINE)[1:]
    words = [entry.partition("\n")[0] for entry in entries]
    ordered = [re.sub(r"[-_]", " ", word.replace("`", "")).lower() for word in words]
    assert ordered == sorted(ordered) and len(set(ordered)) == len(ordered)
    assert [
        word for word, entry in zip(words, entries, strict=True) if not LINK.search(entry)
    ] == []


def test_the_version_is_the_same_everywhere() -> None:
    project = yaml.safe_load(read("dbt_project.yml"))
    assert project["version"] == feature_mart.__version__
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert feature_mart.__version__ >= released[0], (
        "a version that is in the making is above the released ones"
    )
