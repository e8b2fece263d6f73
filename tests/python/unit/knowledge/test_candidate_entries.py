"""Test that the entry of each rejected candidate has all parts and states the figures of its evidence files."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from feature_mart.knowledge.candidate_plot import describe_plot
from feature_mart.knowledge.evidence_files import sql_sha256
from feature_mart.knowledge.svg import FONTS

PROJECT = Path(__file__).resolve().parents[4]
REJECTED = PROJECT / "analyses" / "rejected"
NAMES = sorted(path.stem for path in REJECTED.glob("*.sql"))
MOST_BYTES = 30_000


def features() -> set[str]:
    """Return the names of all columns of the feature models."""
    found: set[str] = set()
    for path in (PROJECT / "models" / "features").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or ():
            found |= {column["name"] for column in model.get("columns") or ()}
    return found


def faults(name: str, entry: dict[str, Any], known: set[str]) -> list[str]:
    """Return the faults of a rejected candidate's entry, such as parts or figures of the evidence that are missing."""
    said = " ".join(str(entry.get("description") or "").split())
    found = [
        f"no {word}"
        for word in ("Expected:", "Seen on", "Verdict:", "Reopen:", "validation", " seeds")
        if word not in said
    ]
    if not re.match(r"(Rejected|Not taken) on 20\d\d-\d\d-\d\d\.", said):
        found.append("begin with Rejected or Not taken, and the date")
    image = re.search(r"!\[([^\]]+)\]\((assets/rejected/[-a-z0-9_.]+\.svg)\)", said)
    prose = said.replace(image.group(0), "") if image else said
    plot = PROJECT / "docs" / image.group(2) if image else None
    if plot is None or plot.name.split(".")[0] != name or not plot.is_file():
        found.append("no image, or none that is there")
    elif plot.stat().st_size >= MOST_BYTES:
        found.append(f"{plot.name} is too big")
    lost_to = str(entry.get("config", {}).get("meta", {}).get("lost_to") or "").split(", ")
    found += [f"lost_to {column!r} is no feature" for column in lost_to if column not in known]
    paths = [PROJECT / path for path in re.findall(r"docs/evidence/rejected/[-\w.]+\.json", said)]
    if not paths:
        found.append("no evidence is named")
    for path in paths:
        if not path.is_file():
            found.append(f"{path.name} is not there")
            continue
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = resources.files("feature_mart.core.schemas").joinpath("candidate.json")
        jsonschema.validate(document, json.loads(schema.read_text(encoding="utf-8")))
        own = f"{name}.{document['consumer']}.{document['warehouse_id']}.json"
        if path.name != own or document["candidate"] != name:
            found.append(f"{path.name} is of {document['candidate']}")
        if document["sql_sha256"] != sql_sha256((REJECTED / f"{name}.sql").read_text()):
            found.append(f"{path.name} is of other SQL than {name}.sql")
        figures = [
            f"{document[side]['mean']:.4f} ± {document[side]['spread']:.4f}"
            for side in ("with", "without")
        ]
        figures += [f"{document['seeds']} seeds", document["snapshot"]]
        found += [f"{each} of {path.name} is not told" for each in figures if each not in prose]
        if image and image.group(1) != describe_plot(document):
            found.append("the image's text is not what the command prints")
    return found


def entries() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((REJECTED / "_rejected.yml").read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in document["analyses"]}


def test_every_candidate_has_an_entry_and_every_plot_and_figure_a_candidate() -> None:
    assert len(NAMES) >= 8 and sorted(entries()) == NAMES
    plots = {path.name.split(".")[0] for path in (PROJECT / "docs/assets/rejected").iterdir()}
    figures = {path.name.split(".")[0] for path in (PROJECT / "docs/evidence/rejected").iterdir()}
    assert sorted(plots) == sorted(figures) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_candidate_is_told_by_its_figures(name: str) -> None:
    assert faults(name, entries()[name], features()) == []


@pytest.mark.parametrize("path", sorted((PROJECT / "docs/evidence/rejected").glob("*.json")))
def test_the_table_of_candidates_has_the_same_figures(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    table = (PROJECT / "docs/figures.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in table if line.endswith(f"| `{document['candidate']}` |")]
    for side in ("with", "without"):
        assert f"| {document[side]['mean']:.4f} ± {document[side]['spread']:.4f} |" in row


@pytest.mark.parametrize(
    ("pattern", "instead", "fault"),
    [
        (r"Expected:", "Thought:", "no Expected:"),
        (r"Reopen:", "", "no Reopen:"),
        (r"on 2026-\d\d-\d\d", "lately", "begin with"),
        (r"assets/rejected/\w+", "assets/rejected/nothing", "no image"),
        (r"0\.\d{4}( ± \d\.\d{4} with it)", r"0.9999\1", "is not told"),
        (r"0\.\d{4}( ± \d\.\d{4} without\.)", r"0.9999\1", "text is not what"),
        (r"\d seeds", "many seeds", "5 seeds of"),
        (r"docs/evidence/rejected/", "docs/", "no evidence is named"),
        (r"docs/evidence/rejected/budget", "docs/evidence/rejected/client", "is not there"),
    ],
)
def test_an_entry_that_says_otherwise_is_found(pattern: str, instead: str, fault: str) -> None:
    entry = entries()["budget_deciles"]
    said = re.sub(pattern, instead, entry["description"])
    assert said != entry["description"]
    assert any(
        fault in each
        for each in faults("budget_deciles", entry | {"description": said}, features())
    )


def test_a_lost_to_that_is_no_feature_is_found() -> None:
    entry = entries()["budget_deciles"]
    for lost_to in ("job_budget_log, job_budget_tenth", ""):
        changed = entry | {"config": {"meta": {"lost_to": lost_to}}}
        assert any("no feature" in each for each in faults("budget_deciles", changed, features()))


def test_a_comment_is_no_other_sql_and_a_word_is() -> None:
    sql = "-- why\nselect job_id, 1 as x {# so #} from a"
    assert sql_sha256(sql) == sql_sha256("select job_id,\n  1 as x /* other */ from a")
    assert sql_sha256(sql) != sql_sha256(sql.replace("1", "2"))


def test_drawings_name_japanese_fonts_once() -> None:
    drawings = sorted((PROJECT / "docs" / "assets" / "rejected").glob("*.svg"))
    assert len(drawings) == len(NAMES)
    for each in drawings:
        root, _, rest = each.read_text(encoding="utf-8").partition("\n")
        assert f'style="font-family: {FONTS}"' in root, each.name
        assert "font-family" not in rest, each.name
    assert {"Meiryo", "IPAexGothic"} <= set(re.split(r"[',\s]+", FONTS))
