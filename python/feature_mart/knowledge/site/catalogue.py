"""Write the front page: consumers and their scores, last checks, owners, features, freshness and candidates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from feature_mart.core.settings import Clock
from feature_mart.core.zones import load_zone
from feature_mart.knowledge.rationale import VERIFIED_BY
from feature_mart.knowledge.site.facts import ConsumerFacts, Freshness, cut_of
from feature_mart.knowledge.site.pages import Links, local, table, verdict_of
from feature_mart.knowledge.site.status import (
    LastChecks,
    OwnedPath,
    checks_text,
    owners_table,
    scores_text,
)
from feature_mart.knowledge.verification import VERIFIED_ALONE
from feature_mart.knowledge.why import Candidate, Why

_NEWEST_DECISIONS = 5
#: The number of the overview's paragraphs before the state of the mart: the title and the introduction.
_INTRODUCTION = 2
_AT_REQUEST = "_at_request"


@dataclass(frozen=True, slots=True)
class Decision:
    """An ADR. `summary` is the paragraph that begins with ``**Decision.**``, empty if there is none."""

    number: str
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The content of the front page. `as_of_at` is the refresh of the mart. `reasons` and `types` are by feature."""

    warehouse: str
    as_of_at: datetime
    clock: Clock
    currency: str
    consumers: Sequence[ConsumerFacts]
    reasons: Mapping[str, Why]
    types: Mapping[str, str]
    freshness: Sequence[Freshness]
    checks: LastChecks
    owned_paths: Sequence[OwnedPath]
    candidates: Sequence[Candidate]
    decisions: Sequence[Decision]


def front_page(of: Catalogue, overview: str, japanese: str, links: Links) -> str:
    """Return the front page as Markdown. A feature that several consumers share is listed once.

    Args:
        of: the content of the page.
        overview: a title, an introduction and a guide to the site, written by hand. The mart's state is inserted before
            the guide.
        japanese: the Japanese section at the end of the page, written by hand.
        links: builds links to other pages.
    """
    clock, zone = of.clock, load_zone(of.clock.timezone)
    paragraphs = overview.strip().split("\n\n")
    introduction, guide = paragraphs[:_INTRODUCTION], paragraphs[_INTRODUCTION:]
    return "\n\n".join(
        (
            *introduction,
            f"## Consumers of {of.warehouse}",
            *(_consumer_line(facts, links) for facts in of.consumers),
            "### Scores",
            scores_text(of.consumers, of.warehouse, links),
            "## Last checks",
            checks_text(of.checks, links, zone),
            "## Whom to ask",
            owners_table(of.consumers, _owners(of), of.owned_paths, links),
            *(["## How to read this site", *guide] if guide else ()),
            "## Features by entity",
            *_feature_tables(of, links),
            "## Freshness",
            f"The mart is as of {local(of.as_of_at, zone)} {clock.timezone}. It refreshes every day at "
            f"{clock.refresh_hour}:00 in that time zone, and the rows of a refresh may be used "
            f"{clock.publish_lag_minutes} minutes later. A row of a feature's history is valid until the entity's "
            "next row, and a history has no row for a refresh at which nothing changed, so an old row is not a "
            "fault. The features at a request (`feat_job__…`) have one row per request.",
            _freshness_table(of.freshness, links, zone),
            "## Money",
            f"All amounts, also the prices of which logarithms are taken, are whole units of {of.currency}, rounded "
            "half away from zero. A row in another currency stops the build; a row without a currency counts as "
            f"{of.currency}.",
            "## Tried and not taken",
            _candidate_table(of.candidates, of.reasons, links),
            "## Newest decisions",
            *(f"**{each.number} {each.title}.** {each.summary}" for each in of.decisions),
            japanese.strip(),
        )
    )


def read_decisions(project: Path) -> tuple[Decision, ...]:
    """Return the newest ADRs of docs/decisions, the highest number first."""
    paths = sorted((project / "docs" / "decisions").glob("[0-9]*.md"), reverse=True)
    return tuple(_decision(path) for path in paths[:_NEWEST_DECISIONS])


def _decision(path: Path) -> Decision:
    text = path.read_text(encoding="utf-8", errors="replace")
    title = re.search(r"^# *(?:\d+[.:]? *)?(.+)$", text, re.MULTILINE)
    decided = re.search(r"\*\*Decision\.\*\* *(.+?)(?:\n\n|\Z)", text, re.DOTALL)
    return Decision(
        path.name[:4],
        title[1].strip().rstrip(".") if title else path.stem,
        " ".join(decided[1].split()) if decided else "",
    )


def _consumer_line(facts: ConsumerFacts, links: Links) -> str:
    consumer, snapshot = facts.consumer, facts.snapshot
    last = (
        "none yet (run `mart export`)"
        if facts.problem is None
        else f"cannot be read: {facts.problem}"
    )
    if snapshot is not None:
        rows = ", ".join(f"{split['name']} {split['rows']:,}" for split in snapshot["splits"])
        last = f"`{snapshot['id']}` ({rows})"
    return (
        f"**{links.consumer(facts)}.** {facts.description} Label `{consumer.label}` "
        f"({consumer.label_kind}) · {len(facts.features)} features · {cut_of(consumer)} · metrics "
        f"{', '.join(consumer.metrics) or 'none'} · owner {facts.owner} · last snapshot {last}"
    )


def _groups(of: Catalogue) -> dict[str, dict[str, list[str]]]:
    """Return, by feature group and feature, the names of the consumers that use the feature."""
    groups: dict[str, dict[str, list[str]]] = {}
    for facts in of.consumers:
        for group, names in facts.groups.items():
            for name in names:
                groups.setdefault(group, {}).setdefault(name, []).append(facts.consumer.name)
    return groups


def _entity(group: str) -> str:
    if group.endswith(_AT_REQUEST):
        return group.removesuffix(_AT_REQUEST).replace("_", " and ")
    return f"job ({group})"


def _owners(of: Catalogue) -> dict[str, list[str]]:
    """Return, by owner, the entities whose features the owner is responsible for."""
    owners: dict[str, dict[str, None]] = {}
    for group, features in _groups(of).items():
        for name in features:
            owner = str(of.reasons[name].meta.get("owner", "nobody"))
            owners.setdefault(owner, {})[_entity(group)] = None
    return {owner: list(entities) for owner, entities in owners.items()}


def _feature_tables(of: Catalogue, links: Links) -> list[str]:
    blocks = []
    for group, features in _groups(of).items():
        owners = sorted({str(of.reasons[name].meta.get("owner", "")) for name in features})
        lines = (
            _feature_line(of.reasons[name], of.types.get(name, ""), users, links)
            for name, users in features.items()
        )
        blocks += [
            f"### {_entity(group)}",
            f"{len(features)} features in {links.model(f'feat_job__{group}')}, owned by {', '.join(owners)}",
            table(("feature", "what it is", "type and unit", "served by", "used by"), lines),
        ]
    return blocks


def _feature_line(why: Why, data_type: str, users: Sequence[str], links: Links) -> list[str]:
    return [
        links.feature(why),
        f"{why.description} (verified {VERIFIED_ALONE})"
        if why.meta.get(VERIFIED_BY)
        else why.description,
        ", ".join(filter(None, (data_type, str(why.meta.get("unit", "no unit"))))),
        str(why.meta.get("serve", "")),
        ", ".join(users),
    ]


def _freshness_table(freshness: Sequence[Freshness], links: Links, zone: ZoneInfo) -> str:
    lines = (
        [
            links.model(each.model),
            f"{each.rows:,}",
            "" if each.newest is None else local(each.newest, zone),
            "" if each.fails_after_days is None else f"{each.fails_after_days} days",
        ]
        for each in sorted(freshness, key=lambda each: each.model)
    )
    return table(("model", "rows", f"newest row ({zone.key})", "a check fails after"), lines)


def _candidate_table(
    candidates: Sequence[Candidate], reasons: Mapping[str, Why], links: Links
) -> str:
    lines = (
        [
            links.candidate(each.name),
            verdict_of(each),
            ", ".join(
                links.feature(reasons[name]) if name in reasons else f"`{name}`"
                for name in each.lost_to
            ),
        ]
        for each in candidates
    )
    return table(("candidate", "verdict", "to complement or replace"), lines)
