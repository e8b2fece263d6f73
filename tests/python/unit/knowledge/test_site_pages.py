"""Test the site's page, the texts on models and columns, and the site's publication."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.services import S3Options
from feature_mart.knowledge.site import page
from feature_mart.knowledge.site.catalogue import front_page, read_decisions
from feature_mart.knowledge.site.page import anonymous, assemble_page, without_remote_images
from feature_mart.knowledge.site.pages import (
    ELSEWHERE,
    REASONS,
    candidate_page,
    column_page,
    reasons_section,
    table,
)
from feature_mart.knowledge.site.publish import check_place, publish_site
from feature_mart.knowledge.why import Candidate, Why, read_reasons
from feature_mart.storage import open_store
from site_case import LINKS, catalogue, facts, profile

PROJECT = Path(__file__).resolve().parents[4]
TEMPLATE = (
    '<script>n={manifest:"MANIFEST.JSON INLINE DATA",catalog:"CATALOG.JSON INLINE DATA"}</script>'
    "<link href=\"${require('./assets/favicons/favicon.ico')}\"/></head>"
)
WHY = Why(
    "job_budget_log",
    "feat_job__posting",
    "models/feat_job__posting.sql",
    "Log of the budget.",
    {"why": "The client's idea of the price.", "transform": "Log.", "unit": "log amount"},
    {},
    (),
    {},
    (),
    (),
)


def test_the_page_carries_its_data_and_no_text_ends_the_script() -> None:
    wicked = {"description": "</script><script>alert(1)</script>\u2028<!--<script>"}
    page = assemble_page(TEMPLATE, wicked, {"nodes": {}})
    assert page.count("</script>") == 2, "dbt's and ours"
    assert "\u2028" not in page and "require(" not in page
    inside = page.partition("manifest:")[2].partition(",catalog:")[0]
    assert "<" not in inside and json.loads(inside) == wicked


def test_our_style_and_script_come_after_dbts_own_script() -> None:
    found = find_spec("dbt.task.docs")
    assert found is not None and found.origin is not None
    template = (Path(found.origin).parent / "index.html").read_text(encoding="utf-8")
    assert template.count("</head>") == 1
    head, _, body = assemble_page(template, {}, {}).partition("</head>")
    assert head.rindex("<style>") < head.rindex('angular.module("dbt")') < len(head)
    assert head.endswith("</script>") and head.rindex("<style>") > len(template) * 0.9
    assert "<script" not in body
    for name in ("Hiragino Sans", "Meiryo", "Noto Sans JP"):
        assert name in head[head.rindex("<style>") :]


def test_the_script_knows_the_headings_and_captions_that_the_texts_have() -> None:
    script = (Path(page.__file__).parent / "page.js").read_text(encoding="utf-8")
    assert f"## {ELSEWHERE}" in script and "### " in script
    profiled = facts(profiles={"job_budget_log": profile("job_budget_log")})
    text = column_page(WHY, "", [profiled], LINKS, "feat_job__posting")
    caption = text.split("\n\n")[-1]
    skipped = re.search(r"SKIPPED = /(.+)/;", script)
    assert skipped is not None
    assert re.match(skipped[1].replace("\\/", "/"), caption), caption


def test_reasons_stand_in_the_text_of_the_model_that_computes_a_column() -> None:
    other = replace(WHY, column="job_posted_hour", model="feat_job__clock")
    bare = replace(WHY, column="job_bare", meta={})
    explained = {each.column: each for each in (WHY, other, bare)}
    columns = {"job_id": "Key.", "price_log": "Label: log price.", **dict.fromkeys(explained, "")}
    text = reasons_section("feat_job__posting", columns, ["price_log"], explained, [facts()], LINKS)
    parts = text.split("\n\n")
    assert parts[:4] == ["## Label", "### price_log", "Label: log price.", f"## {REASONS}"]
    assert parts[4:8] == [
        "### job_budget_log",
        "Log of the budget.",
        "**Why.** The client's idea of the price.",
        "**Transform.** Log.",
    ]
    assert parts[8] == "Unit: log amount · **Used by** [price](#!/exposure/exposure.mart.price)"
    assert parts[9] == f"## {ELSEWHERE}"
    link = "[`job_posted_hour`](#!/model/model.mart.feat_job__clock#job_posted_hour)"
    assert parts[10].splitlines()[2:] == [f"| {link} | The client's idea of the price. |"]
    assert "job_bare" not in text
    assert reasons_section("int_x", {"job_id": "Key."}, [], explained, [], LINKS) == ""


def test_a_column_of_another_model_links_to_its_reasons() -> None:
    text = column_page(WHY, "", [], LINKS, "mart_price__features")
    link = "[`job_budget_log`](#!/model/model.mart.feat_job__posting#job_budget_log)"
    assert (
        f"**Explained in** [feat_job__posting](#!/model/model.mart.feat_job__posting): {link}"
        in text
    )
    assert "Explained in" not in column_page(WHY, "", [], LINKS, "feat_job__posting")
    tried = Candidate("deciles", "deciles.sql", "Tried.", ("job_budget_log", "gone"))
    told = candidate_page(tried, "Tried.", LINKS, {"job_budget_log": WHY})
    assert f"**To complement or replace** {link}" in told and "gone" not in told


def test_a_caption_stands_once_beside_its_drawing() -> None:
    drawn = facts(
        profiles={"job_budget_log": profile("job_budget_log")},
        drawings={"job_budget_log": "assets/x.svg"},
        snapshot="20260331T1800Z-0",
    )
    picture, caption = column_page(WHY, "", [drawn], LINKS, "feat_job__posting").split("\n\n")[-2:]
    assert picture == "![Drawing of job_budget_log for price, described below](assets/x.svg)"
    assert caption.startswith(
        "**Drawing for [price](#!/exposure/exposure.mart.price).** job_budget_log"
    )
    assert caption.endswith("Rows: train 2; splits of 20260331T1800Z-0.")


@pytest.mark.parametrize("guide", ["", "\n\nA guide.\n\nMore."])
def test_the_front_page_tells_the_state_before_the_guide(guide: str) -> None:
    owned = replace(WHY, meta={**WHY.meta, "owner": "pricing"})
    overview = f"# The mart\n\nWhat it is.{guide}"
    text = front_page(catalogue(owned, facts()), overview, "# 日本語", LINKS)
    assert text.startswith("# The mart\n\nWhat it is.\n\n## Consumers of sample")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    wanted = ["Consumers of sample", "Scores", "Last checks", "Whom to ask"]
    assert headings[1 : 5 + bool(guide)] == wanted + ["How to read this site"] * bool(guide)
    assert "561 passed" in text and "features of job (posting) | pricing" in text
    link = "[`job_budget_log`](#!/model/model.mart.feat_job__posting#job_budget_log)"
    assert f"\n| {link} | Log of the budget. | double, log amount |" in text
    assert text.endswith("# 日本語")


@pytest.mark.parametrize("place", ["MANIFEST.JSON", "CATALOG.JSON"])
def test_a_page_of_another_dbt_is_refused(place: str) -> None:
    with pytest.raises(TerminalError, match="no placeholder for the manifest"):
        assemble_page(TEMPLATE.replace(place, "DATA"), {}, {})


def test_the_sites_manifest_names_no_machine_and_consents_to_nothing() -> None:
    manifest: dict[str, Any] = {
        "metadata": {"send_anonymous_usage_stats": True},
        "nodes": {
            "model.p.a": {"resource_type": "model", "compiled_path": "/somebody/a.sql"},
            "operation.p.b": {"resource_type": "operation", "raw_code": "/somebody/jobs.parquet"},
        },
        "sources": {},
        "exposures": {},
    }
    anonymous(manifest)
    assert "/somebody" not in json.dumps(manifest)
    assert manifest["metadata"]["send_anonymous_usage_stats"] is False


def test_no_image_asks_another_host() -> None:
    text = "![a](http://somewhere.example/x.png) ![b](//other.example/y) ![c](assets/m/c.svg)"
    manifest: dict[str, Any] = {
        "nodes": {"model.p.a": {"description": text, "columns": {"c": {"description": text}}}},
        "sources": {},
        "exposures": {},
        "macros": {},
        "docs": {"doc.p.x": {"block_contents": text}},
    }
    without_remote_images(manifest)
    told = json.dumps(manifest)
    assert told.count("![a]") == told.count("![b]") == 0 and told.count("![c]") == 3


@pytest.mark.parametrize("place", ["", " ", "~nobody_of_that_name/x"])
def test_a_place_that_is_none_is_wrong_usage(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        open_store(place, S3Options(), tmp_path)


def test_a_file_is_no_place_for_a_site(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="The site cannot be published to"):
        check_place(open_store(str(tmp_path / "file"), S3Options(), tmp_path))


ALONE = "by unit tests and generic tests, not by the oracle"


@pytest.mark.parametrize(("column", "is_alone"), [("is_urgent", True), ("job_budget_log", False)])
def test_a_feature_that_the_oracle_does_not_verify_says_so_on_its_page_and_in_the_list(
    column: str, is_alone: bool
) -> None:
    why = read_reasons(PROJECT).explain(column)
    assert (f"**Verified** {ALONE}." in column_page(why, "", (), LINKS, why.model)) is is_alone
    consumer = facts(groups={why.model.removeprefix("feat_job__"): (column,)})
    (line,) = [
        line
        for line in front_page(catalogue(why, consumer), "", "", LINKS).splitlines()
        if line.startswith(f"| [`{column}`](")
    ]
    assert (f"(verified {ALONE})" in line) is is_alone


def test_a_cell_never_ends_a_table() -> None:
    lines = table(("a", "b"), [["x | y", "two\nlines"]]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| x / y | two lines |"]


def test_the_newest_decisions_have_a_title_and_a_reason() -> None:
    decisions = read_decisions(PROJECT)
    assert [each.number for each in decisions] == sorted(
        (e.number for e in decisions), reverse=True
    )
    assert len(decisions) == 5
    assert all(each.title and len(each.summary) > 40 for each in decisions)


def made_site(folder: Path) -> Path:
    for name in ("index.html", "manifest.json", "assets/m/c.svg"):
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder / "site"


def test_a_published_site_has_types_and_cache_headers_under_its_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "x"),
        ("SECRET_ACCESS_KEY", "x"),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="docs")
        store = open_store("s3://docs/a/b", S3Options(), tmp_path)
        done = publish_site(made_site(tmp_path), store)
        assert (done.address, done.files) == ("s3://docs/a/b/index.html", 3)

        def headers(key: str) -> tuple[str, str]:
            found = client.head_object(Bucket="docs", Key=f"a/b/{key}")
            return found["ContentType"], found["CacheControl"]

        assert headers("index.html") == ("text/html; charset=utf-8", "no-cache")
        assert headers("manifest.json") == ("application/json; charset=utf-8", "no-cache")
        assert headers("assets/m/c.svg") == (
            "image/svg+xml; charset=utf-8",
            "public, max-age=31536000, immutable",
        )


def test_the_front_page_comes_last_and_a_failure_leaves_the_former(tmp_path: Path) -> None:
    put: list[str] = []

    class Store:
        def put(self, key: str, *_: object) -> None:
            if key.endswith(".svg"):
                raise TerminalError("full")
            put.append(key)

    with pytest.raises(TerminalError, match="full"):
        publish_site(made_site(tmp_path), Store())  # type: ignore[arg-type]
    assert "index.html" not in put


def test_the_front_page_is_the_last_that_comes(tmp_path: Path) -> None:
    put: list[str] = []

    class Store:
        def put(self, key: str, *_: object) -> None:
            put.append(key)

        def address(self, key: str) -> str:
            return key

    publish_site(made_site(tmp_path), Store())  # type: ignore[arg-type]
    assert put[-1] == "index.html" and len(put) == 3


def test_a_site_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run `mart docs` first"):
        publish_site(tmp_path, open_store(str(tmp_path / "to"), S3Options(), tmp_path))
