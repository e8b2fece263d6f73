"""Build dbt's documentation site from a manifest enriched with reasons, evidence and drawings, for `mart docs`."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Consumer, Manifest, complete_columns, parse_manifest
from feature_mart.core.settings import Settings
from feature_mart.knowledge.evidence_files import read_evidence
from feature_mart.knowledge.site.enrich import TOLD_MODELS, enrich_manifest
from feature_mart.knowledge.site.facts import (
    ConsumerFacts,
    Freshness,
    last_snapshot,
    splits_of,
)
from feature_mart.knowledge.site.page import anonymous, assemble_page, without_remote_images
from feature_mart.knowledge.site.plots import draw_profiles
from feature_mart.knowledge.site.profiles import finite, measure_profiles
from feature_mart.knowledge.site.status import read_last_checks
from feature_mart.runner import Progress, RunLog, generate_docs, open_engine, require_built
from feature_mart.storage import Store


def build_site(
    settings: Settings, store: Store, log: RunLog, progress: Progress | None = None
) -> Path:
    """Write the site of the built mart, and return the path of the front page. Call this inside `open_run`.

    The site is a folder that works from disk and from any static host. The new site replaces the former site only when
    it is complete.

    Args:
        store: the store of snapshots. The drawings use the splits of each consumer's last snapshot.
        log: the record of this run, to which the stage is added.
        progress: called with the number of steps done, their total and a text; None for no progress.

    Raises:
        UsageError: there is no mart yet.
        TerminalError: dbt cannot describe the mart, the engine cannot be queried, or the finished site cannot be moved
            to its place. The former site is kept.
        TransientError: another program has the mart open for writing.
    """
    built = require_built(settings)
    log.as_of_at = built.as_of_at
    show = progress or _quiet
    with log.stage("docs"):
        docs = generate_docs(settings, built, progress)
        _add_passed_on(docs.manifest)
        manifest = parse_manifest(docs.manifest)
        engine = open_engine(settings)

        def ask(table: str) -> Callable[[str], Sequence[tuple[Any, ...]]]:
            return lambda sql: engine.ask(table, sql, built.published_at)

        show(0, 0, "look at the features")
        consumers = [
            _gather(
                settings, store, docs.manifest, manifest, consumer, ask(consumer.training_model)
            )
            for consumer in manifest.consumers
        ]
        show(0, 0, "draw the features")
        staged = settings.scratch_dir / "site"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        consumers = _draw(staged, consumers)
        _put_candidates(settings.project, staged, docs.manifest)
        show(0, 0, "write the pages")
        freshness = [_freshness(docs.manifest, name, ask(name)) for name in _tables(docs.manifest)]
        checks = read_last_checks(settings, built, log)
        enrich_manifest(
            docs.manifest, docs.catalog, settings, consumers, freshness, checks, built.as_of_at
        )
        anonymous(docs.manifest)
        without_remote_images(docs.manifest)
        page = assemble_page(docs.page, docs.manifest, docs.catalog)
        (staged / "index.html").write_text(page, encoding="utf-8")
        for name, document in (("manifest", docs.manifest), ("catalog", docs.catalog)):
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            (staged / f"{name}.json").write_text(text, encoding="utf-8")
        _swap(staged, settings.site_dir)
    return settings.site_dir / "index.html"


def _quiet(_done: int, _total: int, _text: str) -> None:
    pass


def _gather(
    settings: Settings,
    store: Store,
    document: Mapping[str, Any],
    manifest: Manifest,
    consumer: Consumer,
    ask: Callable[[str], Sequence[tuple[Any, ...]]],
) -> ConsumerFacts:
    snapshot, problem = last_snapshot(store, consumer.name, settings.warehouse_id)
    exposure = next(
        each
        for each in document["exposures"].values()
        if each["config"]["meta"].get("consumer") == consumer.name
    )
    # dbt requires only one of name and email.
    owners = [
        str(exposure["owner"][key]) for key in ("name", "email") if exposure["owner"].get(key)
    ]
    groups = manifest.feature_groups(consumer)
    own = manifest.columns(consumer.training_model)
    types = {each.name: each.data_type for each in own}
    codes = {each.name for each in own if each.categorical}
    columns = {name: _number(name, types.get(name)) for names in groups.values() for name in names}
    profiles = measure_profiles(ask, columns, consumer.label, splits_of(snapshot), codes)
    return ConsumerFacts(
        consumer,
        str(exposure["name"]),
        owners[0],
        ", ".join(owners),
        str(exposure["description"]),
        groups,
        snapshot,
        problem,
        tuple(
            each for each in read_evidence(settings.project) if each["consumer"] == consumer.name
        ),
        {profile.column: profile for profile in profiles},
        {},
    )


def _number(column: str, data_type: str | None) -> str:
    """Return a SQL expression for a feature's value as a number, on both engines. Booleans become 1 and 0."""
    if (data_type or "").lower() in {"boolean", "bool"}:
        return f"case when {column} then 1 when not {column} then 0 end"
    return finite(column)


def _draw(site: Path, consumers: Sequence[ConsumerFacts]) -> list[ConsumerFacts]:
    """Draw every column that has a known value, and return the consumers with links to the drawings."""
    known = [
        (facts, profile)
        for facts in consumers
        for profile in facts.profiles.values()
        if profile.edges
    ]
    links: dict[str, dict[str, str]] = {facts.consumer.name: {} for facts in consumers}
    drawn = draw_profiles([(profile, facts.consumer.label) for facts, profile in known])
    for (facts, profile), svg in zip(known, drawn, strict=True):
        folder = site / "assets" / facts.consumer.training_model
        links[facts.consumer.name][profile.column] = _put(site, folder, profile.column, svg)
    return [replace(facts, drawings=links[facts.consumer.name]) for facts in consumers]


def _put(site: Path, folder: Path, name: str, svg: str) -> str:
    """Write a drawing to a file whose name contains the drawing's hash, and return the link to the file."""
    content = svg.encode()
    path = folder / f"{name}.{hashlib.sha256(content).hexdigest()[:12]}.svg"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path.relative_to(site).as_posix()


def _put_candidates(project: Path, site: Path, document: dict[str, Any]) -> None:
    """Copy the committed drawings of candidates to the site, under names with hashes, and update the links to them."""
    links = {
        f"](assets/rejected/{path.name})": _put(
            site, site / "assets" / "rejected", path.stem, path.read_text(encoding="utf-8")
        )
        for path in sorted((project / "docs" / "assets" / "rejected").glob("*.svg"))
    }
    for node in document["nodes"].values():
        for written, link in links.items():
            if written in node.get("description", ""):
                node["description"] = node["description"].replace(written, f"]({link})")


def _tables(document: Mapping[str, Any]) -> list[str]:
    """Return the names of the feature models and marts that can be queried, which are all except ephemeral ones."""
    return [
        str(node["name"])
        for node in document["nodes"].values()
        if node["resource_type"] == "model"
        and node["name"].startswith(TOLD_MODELS)
        and node["config"]["materialized"] != "ephemeral"
    ]


def _add_passed_on(document: Mapping[str, Any]) -> None:
    """Add to each model in a manifest the columns that it passes on, so that the model's page describes them."""
    models = {
        node["name"]: node
        for node in document["nodes"].values()
        if node["resource_type"] == "model"
    }
    for name, columns in complete_columns(models).items():
        models[name]["columns"] = columns


def _freshness(
    document: Mapping[str, Any], model: str, ask: Callable[[str], Sequence[tuple[Any, ...]]]
) -> Freshness:
    (node,) = (
        each
        for each in document["nodes"].values()
        if each["resource_type"] == "model" and each["name"] == model
    )
    clock = next((name for name in ("entered_at", "as_of_at") if name in node["columns"]), None)
    ((rows, newest),) = ask(
        f"select count(*), {f'max({clock})' if clock else 'null'} from {{table}}"
    )
    days = next(
        (
            int(each["test_metadata"]["kwargs"]["at_most_days"])
            for each in document["nodes"].values()
            if (each.get("test_metadata") or {}).get("name") == "freshness"
            and each.get("attached_node") == node["unique_id"]
        ),
        None,
    )
    return Freshness(model, int(rows), newest, days)


def _swap(staged: Path, site: Path) -> None:
    former = staged.parent / "former"
    try:
        if site.exists():
            site.rename(former)
        staged.rename(site)
    except BaseException as error:
        # Catch BaseException, because an interrupt between the two renames must not lose the former site.
        if former.exists() and not site.exists():
            former.rename(site)
        if not isinstance(error, OSError):
            raise
        raise TerminalError(
            f"The site could not be moved to {site}: {error}. Check the permissions of the folder, then run `mart "
            "docs` again."
        ) from None
