"""Test the documentation site of a sample as a reader sees it: from a file, under a prefix of a host, in a browser."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from selenium.webdriver.common.by import By

from browser import Browser, open_browser
from feature_mart.cli import main
from feature_mart.knowledge.site import publish_site
from feature_mart.sample import write_sample
from feature_mart.storage import FolderStore

PROJECT = Path(__file__).resolve().parents[4]
JOBS = 1_500
PREFIX = "docs/feature mart"
FRONT, FEATURES = "overview", "model/model.feature_mart.mart_price_estimation__features"
PRICE = "exposure/exposure.feature_mart.price_estimation"
_LINK = re.compile(r"\]\(#!/(\w+)/([\w.]+)(?:#(\w+))?\)")
_IMAGE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Site:
    """A built site. `manifest` is the site's dbt manifest, `snapshots` has each consumer's snapshot manifest."""

    folder: Path
    manifest: dict[str, Any]
    snapshots: dict[str, Any]

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield (place, description) for every node, exposure and column, and for the front page."""
        for kind in ("nodes", "exposures"):
            for key, node in self.manifest[kind].items():
                yield key, node.get("description") or ""
                for name, column in node.get("columns", {}).items():
                    yield f"{key}.{name}", column.get("description") or ""
        yield FRONT, self.manifest["docs"]["doc.feature_mart.__overview__"]["block_contents"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    warehouse = folder / "sample"  # seeds/load_clock.csv has lines for a warehouse named `sample`.
    write_sample(warehouse, jobs=JOBS, seed=5)
    environment = {
        "MART_HOME": str(folder / "home"),
        "MART_DWH": str(warehouse),
        "MART_SNAPSHOTS": None,
        "MART_TARGET": None,
    }
    done = CliRunner().invoke(main, ["run", "--json"], env=environment, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    built = folder / "home" / "sample" / "site"
    manifests = (folder / "home" / "sample" / "snapshots").glob("*/snapshots/*/_meta/manifest.json")
    snapshots = {each["consumer"]: each for each in (json.loads(p.read_text()) for p in manifests)}
    return Site(built, json.loads((built / "manifest.json").read_text()), snapshots)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hosted(site: Site, folder: Path) -> Iterator[str]:
    """Publish the site under a prefix of a plain file server, and yield the URL of its front page."""
    publish_site(site.folder, FolderStore(folder / PREFIX))
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{PREFIX.replace(' ', '%20')}/index.html"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def browser(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with hosted(site, tmp_path_factory.mktemp("host")) as address, open_browser(address) as window:
        yield window


def test_every_link_and_every_drawing_leads_somewhere(site: Site) -> None:
    known = {*site.manifest["nodes"], *site.manifest["exposures"]}
    links = [(where, *link) for where, text in site.described() for link in _LINK.findall(text)]
    assert len(links) > 500
    assert not [link for link in links if link[2] not in known]
    to_columns = [link for link in links if link[3]]
    assert len(to_columns) > 300
    headings = {key: site.manifest["nodes"][key]["description"] for _, _, key, _ in to_columns}
    assert not [link for link in to_columns if f"\n### {link[3]}\n" not in headings[link[2]]]
    drawings = [(where, *each) for where, text in site.described() for each in _IMAGE.findall(text)]
    assert len({link for _, _, link in drawings}) > 100
    assert not [each for each in drawings if not (site.folder / each[2]).is_file()]
    assert not [each for each in drawings if len(each[1]) < 20]


def test_every_feature_tells_why_it_is_there_and_who_uses_it(site: Site) -> None:
    for consumer, snapshot in site.snapshots.items():
        node = site.manifest["nodes"][f"model.feature_mart.mart_{consumer}__features"]
        names = [each["name"] for each in snapshot["columns"] if each["role"] != "label"]
        for name in names:
            text = node["columns"][name]["description"]
            assert re.search(r"\*\*Why\.\*\* .{20}", text), name
            assert f"[{consumer}](#!/exposure/exposure.feature_mart.{consumer})" in text
            drawn = re.search(
                rf"assets/mart_{consumer}__training/{name}\.[0-9a-f]{{12}}\.svg", text
            )
            assert bool(drawn) != (f"{name} is NULL in every row." in text), name


def test_drawings_count_the_rows_that_the_snapshot_has(site: Site) -> None:
    for consumer, snapshot in site.snapshots.items():
        rows = ", ".join(f"{each['name']} {each['rows']:,}" for each in snapshot["splits"])
        node = site.manifest["nodes"][f"model.feature_mart.mart_{consumer}__features"]
        told = [
            each["description"]
            for each in node["columns"].values()
            if "Rows: " in each["description"]
        ]
        assert len(told) > 40
        assert all(f"Rows: {rows}; splits of {snapshot['id']}." in text for text in told)


def test_the_front_page_lists_every_feature_once_and_every_consumer(site: Site) -> None:
    front = site.manifest["docs"]["doc.feature_mart.__overview__"]["block_contents"]
    for consumer, snapshot in site.snapshots.items():
        assert snapshot["id"] in front
        for each in snapshot["columns"]:
            if each["role"] != "label":
                assert front.count(f"\n| [`{each['name']}`](#!/model/") == 1, each["name"]
        assert f"exposure.feature_mart.{consumer}" in front
    for heading in (
        "Consumers",
        "Last checks",
        "Whom to ask",
        "Features by entity",
        "Freshness",
        "Tried and not taken",
        "Newest dec",
    ):
        assert f"## {heading}" in front
    assert "日本語" in front
    assert re.search(r"\*\*\d{3,} passed, 0 failed, \d+ warned\*\*", front)
    assert "pricing-features@example.com" in front and "@example/data-warehouse" in front
    for consumer, snapshot in site.snapshots.items():
        last = f"The last snapshot of {consumer}, `{snapshot['id']}`, is not measured"
        assert last in front, "the committed evidence is of the sample with all its jobs"


def test_nothing_of_this_machine_is_on_the_site(site: Site) -> None:
    for name in ("index.html", "manifest.json", "catalog.json"):
        text = (site.folder / name).read_text(encoding="utf-8")
        assert str(site.folder.parents[2]) not in text
        assert str(Path.cwd()) not in text


def test_the_five_pages_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("MART_SCREENSHOTS") or tmp_path)
    drawing = "//img[contains(@src, 'assets/')]/.."
    graph = f"{FEATURES}?g_v=1&g_i=%2Bmart_price_estimation__features%2B"
    pages = {
        "front": (FRONT, "Features by entity", None),
        "feature": (FEATURES, "Columns", "//p[starts-with(., 'Drawing for ')]"),
        "rejected": ("analysis/analysis.feature_mart.deadline_calendar", "Reopen", drawing),
        "consumer": (
            PRICE,
            "Evidence on municipal",
            "//strong[starts-with(., 'Evidence on sample')]",
        ),
        "graph": (graph, "Lineage Graph", None),
    }
    seen_images = 0
    for name, (place, text, shown) in pages.items():
        browser.visit(place)
        browser.wait_for_text(text)
        if name == "feature":
            assert "Used by" in browser.open_column("client_cancelled_contract_ratio_all")
        if name == "graph":
            assert browser.wait_for("canvas").size["width"] > 400
        browser.wait_for_images()
        images = browser.images()
        assert all(images.values()), [each for each, width in images.items() if not width]
        seen_images += sum("/assets/" in each for each in images)
        if shown is not None:
            browser.show(shown)
        browser.picture(pictures / f"{name}.png")
    assert seen_images >= 2
    browser.look()
    host = browser.root.partition("index.html")[0]
    strange = [
        each for each in browser.asked if not each.startswith((host, "data:", "about:", "blob:"))
    ]
    assert browser.asked and not strange
    assert not browser.complaints


def test_the_search_finds_the_explaining_model_first(site: Site, browser: Browser) -> None:
    homes = {
        name: node["name"]
        for node in site.manifest["nodes"].values()
        if node["resource_type"] == "model"
        for name in re.findall(r"^### (\w+)$", node["description"], re.MULTILINE)
        if name in node["columns"]
    }
    assert len(homes) > 90
    browser.visit(FRONT)
    captions = {
        paragraph
        for _, text in site.described()
        for paragraph in text.split("\n\n")
        if paragraph.startswith(("**Drawing", "**Evidence"))
    }
    assert len(captions) > 100
    found = browser.find_first([*homes, *captions])
    assert {name: found[name][0] for name in homes} == homes
    assert not [caption for caption in captions if found[caption]], (
        "drawings and evidence are not searched"
    )
    shown = browser.search("client_rating_mean_all", "feat_client__history")
    assert shown[0] == "feat_client__history"
    assert "mart_price_estimation__features" in shown


def test_the_whole_graph_hides_tests_until_they_are_chosen(browser: Browser) -> None:
    browser.visit(f"{FRONT}?g_v=1")
    types = browser.graph_types()
    assert {"model", "source", "exposure"} <= types
    assert not {"test", "unit_test"} & types
    options = browser.driver.execute_script(
        "return angular.element(document.body).injector().get('selectorService').options.resource_types"
    )
    assert {"test", "unit_test"} <= set(options)


def test_the_front_page_shows_japanese_and_leads_to_a_columns_reasons(browser: Browser) -> None:
    browser.visit(FRONT)
    assert browser.draws("日本語の特徴量"), "no Japanese font: .ci/chromium installs one"
    browser.driver.find_element(By.LINK_TEXT, "client_rating_mean_all").click()
    browser.wait_for_text("Reasons by column")
    browser.wait_until_in_view("#client_rating_mean_all")


def test_the_page_works_from_a_file(site: Site) -> None:
    with open_browser(f"file://{site.folder}/index.html") as window:
        window.visit(FEATURES)
        window.open_column("job_budget_log")
        window.wait_for_images()
        drawn = {each: width for each, width in window.images().items() if "/assets/" in each}
        assert drawn and all(drawn.values())
        window.look()
        assert all(each.startswith(("file://", "data:", "about:")) for each in window.asked)
        assert not window.complaints


@dataclass(frozen=True, slots=True)
class Question:
    """A newcomer's question `asks`, and how the site answers the question.

    A search for `types` must find `page` among the first two results. The page, or the opened row of `column` if
    `column` is not None, must have a text that matches the regular expression `answer`.
    """

    asks: str
    types: str
    page: str
    column: str | None
    answer: str


QUESTIONS = (
    Question(
        "Why the log of the budget?",
        "log of the budget",
        "feat_job__posting",
        "job_budget_log",
        "four orders of magnitude",
    ),
    Question("What was tried for deadlines?", "deadline", "deadline_calendar", None, "Seen"),
    Question(
        "Who uses the client's cancel ratio?",
        "client cancelled ratio",
        "feat_client__history",
        "client_cancelled_contract_ratio_all",
        "Used by hire_within_14d, price_estimation",
    ),
    Question(
        "Is a budget that is not stated a zero?",
        "budget not stated",
        "feat_job__posting",
        "job_budget_log",
        "A budget that is not stated is NULL instead of 0",
    ),
    Question(
        "Why is the client's prefecture no feature?",
        "prefecture",
        "client_prefecture",
        None,
        "because the client's own history already contains the difference",
    ),
    Question(
        "Which jobs are not trained on?",
        "exclusion_reason",
        "mart_price_estimation__training",
        "exclusion_reason",
        "label_not_yet_known: no contract is known.*void, cancelled: the status of the contract",
    ),
    Question(
        "Why is the status of a job no feature?",
        "jobs.status",
        "mart_price_estimation__features",
        None,
        "it changes after the request",
    ),
    Question(
        "What are the words of a title worth?",
        "terms title",
        "feat_job__terms_at_request",
        None,
        r"municipal_awards: price_estimation, r2\s+terms_at_request \(17\)\s+\+0\.\d+",
    ),
    Question(
        "What does an unknown mean rating say?",
        "mean rating",
        "feat_client__history",
        "client_rating_mean_all",
        "NULL: ",
    ),
    Question(
        "How is the price model's data split, and how well does it do?",
        "fair price",
        "Price estimation",
        None,
        r"the newest 20% of the labelled rows are test[\s\S]+all features\s+0\.\d+ ± ",
    ),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.asks)
def test_a_newcomers_question_is_answered_where_the_search_leads(
    question: Question, browser: Browser
) -> None:
    browser.visit(FRONT)
    names = browser.search(question.types, question.page)
    assert names.index(question.page) < 2, names
    browser.open_found(question.page)
    text = browser.text() if question.column is None else browser.open_column(question.column)
    assert re.search(question.answer, text), text


def test_the_documents_list_of_questions_is_this_one() -> None:
    rows = (PROJECT / "docs" / "knowledge.md").read_text(encoding="utf-8").splitlines()
    told = [line.split(" | ")[:3] for line in rows if line.startswith("| ") and "? |" in line]
    assert [line[:2] for line in told] == [[f"| {each.asks}", each.types] for each in QUESTIONS]
    for (_, _, page), each in zip(told, QUESTIONS, strict=True):
        assert each.page in page and (
            each.column is None or "column" in page or each.column in page
        )
