"""Add reasons, evidence and drawings to the descriptions in dbt's manifest, which the site shows and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_mart.core.errors import TerminalError
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.knowledge.rationale import VERIFIED_BY
from feature_mart.knowledge.site.catalogue import Catalogue, front_page, read_decisions
from feature_mart.knowledge.site.facts import ConsumerFacts, Freshness
from feature_mart.knowledge.site.pages import (
    Links,
    candidate_page,
    column_page,
    consumer_page,
    model_page,
    reasons_section,
)
from feature_mart.knowledge.site.status import LastChecks, read_owned_paths
from feature_mart.knowledge.why import Why, read_reasons

#: The prefixes of models whose columns have reasons.
TOLD_MODELS = ("feat_", "mart_")
#: Meta keys that are removed from the page, because the enriched description already contains their values.
_TOLD = frozenset(
    {"why", "transform", "unit", "null_means", "serve", "owner", "added", VERIFIED_BY}
)


def enrich_manifest(
    document: dict[str, Any],
    catalog: Mapping[str, Any],
    settings: Settings,
    consumers: Sequence[ConsumerFacts],
    freshness: Sequence[Freshness],
    checks: LastChecks,
    as_of_at: datetime,
) -> None:
    """Add everything known about models, columns, candidates and consumers to the descriptions of a manifest.

    Args:
        document: dbt's manifest, changed in place.
        consumers: the facts about each consumer.
        freshness: the freshness of each feature model and mart.
        checks: the last checks of the mart.
        catalog: dbt's catalog, which has the types of the columns in the database.
        as_of_at: the refresh of the built mart.

    Raises:
        TerminalError: no model describes a feature, or an evidence file violates its schema.
    """
    package = str(document["metadata"]["project_name"])
    links, reasons = Links(package), read_reasons(settings.project)
    features = {name for facts in consumers for name in facts.features}
    every = {name: reasons.explain(name) for name in reasons.columns}
    explained = {name: why for name, why in every.items() if "role" not in why.meta}
    if unexplained := sorted(features - explained.keys()):
        raise TerminalError(
            f"{unexplained[0]} has no description in the YAML of the model that computes it: run "
            "`mart knowledge check`."
        )
    types: dict[str, str] = {}
    for node in document["nodes"].values():
        if node["resource_type"] == "model" and node["name"].startswith(TOLD_MODELS):
            _enrich_model(node, explained, consumers, links)
            types |= known_types(node, catalog)
    candidates = {each.name: each for each in reasons.candidates}
    for node in document["nodes"].values():
        if node["resource_type"] == "analysis" and node["name"] in candidates:
            candidate = candidates[node["name"]]
            node["description"] = candidate_page(candidate, node["description"], links, explained)
    by_name = {facts.consumer.name: facts for facts in consumers}
    for exposure in document["exposures"].values():
        facts = by_name.get(str(exposure["config"]["meta"].get("consumer")))
        if facts is not None:
            exposure["description"] = consumer_page(
                facts, links, load_zone(settings.clock.timezone)
            )
    blocks = document["docs"]
    japanese = blocks.get(f"doc.{package}.overview_ja", {}).get("block_contents", "")
    name = f"doc.{package}.__overview__"
    front = blocks.setdefault(
        name, {**blocks["doc.dbt.__overview__"], "unique_id": name, "package_name": package}
    )
    catalogue = Catalogue(
        settings.warehouse_id,
        as_of_at,
        settings.clock,
        settings.currency,
        consumers,
        {name: explained[name] for name in features},
        types,
        freshness,
        checks,
        read_owned_paths(settings.project),
        reasons.candidates,
        read_decisions(settings.project),
    )
    front["block_contents"] = front_page(
        catalogue, str(front["block_contents"]), str(japanese), links
    )


def known_types(node: Mapping[str, Any], catalog: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of each column of a model, from the catalog of the database or else from the YAML.

    A column that has no type in either place is left out, such as a column of a Python model if the catalog is empty.
    """
    stored = catalog.get("nodes", {}).get(node["unique_id"], {}).get("columns", {})
    found = {str(name).lower(): str(each["type"]).lower() for name, each in stored.items()}
    written = {name: each.get("data_type") for name, each in node["columns"].items()}
    types = {name: found.get(name.lower()) or data_type for name, data_type in written.items()}
    return {name: data_type for name, data_type in types.items() if data_type}


def _enrich_model(
    node: dict[str, Any],
    explained: Mapping[str, Why],
    consumers: Sequence[ConsumerFacts],
    links: Links,
) -> None:
    # A mart has the columns of all groups. The page of the consumer has the evidence, so do not repeat it for the mart.
    columns = frozenset() if node["name"].startswith("mart_") else frozenset(node["columns"])
    described = {name: column["description"] for name, column in node["columns"].items()}
    labels = [
        name
        for name, column in node["columns"].items()
        if column["config"].get("meta", {}).get("role") == "label"
    ]
    section = reasons_section(node["name"], described, labels, explained, consumers, links)
    notes = model_page(node["description"], columns, consumers, links)
    node["description"] = f"{notes.rstrip()}\n\n{section}".rstrip()
    for name, column in node["columns"].items():
        if name in explained and "role" not in column["config"].get("meta", {}):
            column["description"] = column_page(
                explained[name], column["description"], consumers, links, node["name"]
            )
            column["meta"] = {
                key: value for key, value in column["meta"].items() if key not in _TOLD
            }
