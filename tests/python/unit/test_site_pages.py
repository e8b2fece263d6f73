"""Test the site's page and its publication."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.manifest import Consumer
from feature_mart.core.services import S3Options
from feature_mart.core.settings import Clock
from feature_mart.knowledge.site.catalogue import Catalogue, front_page, read_decisions
from feature_mart.knowledge.site.facts import ConsumerFacts
from feature_mart.knowledge.site.page import anonymous, assemble_page, without_remote_images
from feature_mart.knowledge.site.pages import Links, column_page, table
from feature_mart.knowledge.site.publish import check_place, publish_site
from feature_mart.knowledge.why import read_reasons
from feature_mart.storage import open_store

PROJECT = Path(__file__).resolve().parents[3]
TEMPLATE = (
    '<script>n={manifest:"MANIFEST.JSON INLINE DATA",catalog:"CATALOG.JSON INLINE DATA"}</script>'
    "<link href=\"${require('./assets/favicons/favicon.ico')}\"/>"
)


def test_the_page_carries_its_data_and_no_text_ends_the_script() -> None:
    wicked = {"description": "</script><script>alert(1)</script>\u2028<!--<script>"}
    page = assemble_page(TEMPLATE, wicked, {"nodes": {}})
    assert page.count("</script>") == 1
    assert "\u2028" not in page and "require(" not in page
    inside = page.partition("manifest:")[2].partition(",catalog:")[0]
    assert "<" not in inside and json.loads(inside) == wicked


@pytest.mark.parametrize("place", ["MANIFEST.JSON", "CATALOG.JSON"])
def test_a_page_of_another_dbt_is_refused(place: str) -> None:
    with pytest.raises(TerminalError, match="no place for its data"):
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
    with pytest.raises(UsageError, match="no place for a site"):
        check_place(open_store(str(tmp_path / "file"), S3Options(), tmp_path))


ALONE = "roved by unit tests and the generic proofs, not by the oracle"


@pytest.mark.parametrize(("column", "is_alone"), [("is_urgent", True), ("job_budget_log", False)])
def test_a_feature_that_the_oracle_does_not_verify_says_so_on_its_page_and_in_the_list(
    column: str, is_alone: bool
) -> None:
    links, why = Links("feature_mart"), read_reasons(PROJECT).explain(column)
    assert (f"**Verified.** P{ALONE}." in column_page(why, "", (), links, why.model)) is is_alone
    group = why.model.removeprefix("feat_job__")
    facts = ConsumerFacts(
        *(Consumer("c", "f", "t", "label", "binary"), "c", "team", "", {group: (column,)}),
        *(None, None, (), {}, {}),
    )
    clock = Clock("Asia/Tokyo", 3, 60)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    catalogue = Catalogue("w", now, clock, "JPY", (facts,), {column: why}, {}, (), (), ())
    (line,) = [
        line
        for line in front_page(catalogue, "", "", links).splitlines()
        if line.startswith(f"| `{column}` |")
    ]
    assert (f"p{ALONE}" in line) is is_alone


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
