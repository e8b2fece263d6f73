"""Write the site's text about a column, model, consumer or candidate, as Markdown for dbt's page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from feature_mart.knowledge.evidence_files import score, signed, trend_of
from feature_mart.knowledge.rationale import VERIFIED_BY
from feature_mart.knowledge.site.facts import ConsumerFacts, cut_of
from feature_mart.knowledge.site.plots import describe_profile
from feature_mart.knowledge.verification import VERIFIED_ALONE
from feature_mart.knowledge.why import Candidate, Why
from feature_mart.snapshot_files import manifest_warnings, parse_instant
from feature_mart.snapshot_files.left_out import count_left_out, explain_left_out

_CANDIDATE = re.compile(r"`?analyses/rejected/(\w+)\.sql`?")
_VERDICT = re.compile(r"(Rejected|Not taken)(?: on (\d{4}-\d\d-\d\d))?\.")
#: The headings of a model's reasons. ``page.js`` searches for the second heading and for "**Drawing", with which a
#: caption starts.
REASONS, ELSEWHERE = "Reasons by column", "Columns explained elsewhere"


class Links:
    """Builds Markdown links within dbt's page, for the dbt project named `package`."""

    def __init__(self, package: str) -> None:
        self._package = package

    def model(self, name: str) -> str:
        """Return a link to a model's page."""
        return self._link("model", name)

    def feature(self, why: Why) -> str:
        """Return a link to a column's reasons on the page of the model that explains it."""
        return f"[`{why.column}`](#!/model/model.{self._package}.{why.model}#{why.column})"

    def consumer(self, facts: ConsumerFacts) -> str:
        """Return a link to the page of a consumer's exposure, whose name may differ from the consumer's."""
        return f"[{facts.consumer.name}](#!/exposure/exposure.{self._package}.{facts.exposure})"

    def candidate(self, name: str) -> str:
        """Return a link to a rejected candidate's page."""
        return self._link("analysis", name)

    def check(self, unique_id: str) -> str:
        """Return a link to the page of a test or another node, given by dbt's unique id."""
        kind, _, rest = unique_id.partition(".")
        name = rest.removeprefix(f"{self._package}.").partition(".")[0]
        return f"[{name}](#!/{kind}/{unique_id})"

    def _link(self, kind: str, name: str) -> str:
        return f"[{name}](#!/{kind}/{kind}.{self._package}.{name})"


def column_page(
    why: Why, description: str, consumers: Sequence[ConsumerFacts], links: Links, model: str
) -> str:
    """Return the text about a feature in a model: reasons, consumers, evidence, candidates and drawings."""
    paragraphs = _reasons(why, description, consumers, links)
    if why.model != model:
        paragraphs.append(f"**Explained in** {links.model(why.model)}: {links.feature(why)}")
    paragraphs += [f"**Evidence, {where}.** {worth}." for where, worth in why.evidence]
    paragraphs += [
        f"**{verdict_of(each)}:** {links.candidate(each.name)}"
        for each in why.rejected
        if why.column in each.lost_to
    ]
    # The page of a mart shows the drawing for the mart's consumer. The page of a feature model shows one per consumer.
    own = [facts for facts in consumers if f"_{facts.consumer.name}__" in model] or consumers
    paragraphs += [line for facts in own for line in _drawing(why.column, facts, links)]
    return "\n\n".join(paragraphs)


def reasons_section(
    model: str,
    columns: Mapping[str, str],
    labels: Sequence[str],
    explained: Mapping[str, Why],
    consumers: Sequence[ConsumerFacts],
    links: Links,
) -> str:
    """Return the section about a model's labels and the reasons for its columns, as Markdown; empty if there are none.

    A column that the model explains has a heading. The columns that other models explain are in a table.

    Args:
        columns: the description of each column by name.
        labels: the names of the columns that are labels.
        explained: everything that is known about each column with a reason, by column name.
    """
    known = {name: explained[name] for name in columns if name in explained}
    known = {name: why for name, why in known.items() if why.meta.get("why")}
    own = {name: why for name, why in known.items() if why.model == model}
    parts = ["## Label"] if labels else []
    for name in labels:
        parts += [f"### {name}", columns[name]]
    parts += [f"## {REASONS}"] if own else []
    for name, why in own.items():
        # Write the heading without backticks, because dbt's page derives the address of the section from the heading.
        parts += [f"### {name}", *_reasons(why, columns[name], consumers, links)]
    lines = [
        [links.feature(why), str(why.meta["why"])] for name, why in known.items() if name not in own
    ]
    if lines:
        parts += [f"## {ELSEWHERE}", table(("column", "why"), lines)]
    return "\n\n".join(parts)


def model_page(
    notes: str, columns: Set[str], consumers: Sequence[ConsumerFacts], links: Links
) -> str:
    """Return a model's notes, with links to candidates and a table of the evidence for the columns' feature groups."""
    linked = _CANDIDATE.sub(lambda found: links.candidate(found[1]), notes)
    lines = [
        _group_line(document, group)
        for facts in consumers
        for document in facts.evidence
        for group in document["groups"]
        if not columns.isdisjoint(group["features"])
    ]
    if not lines:
        return linked
    measured = table(_GROUP_HEAD, lines)
    return f"{linked.rstrip()}\n\nMeasured effects of the feature groups of these features:\n\n{measured}"


def consumer_page(facts: ConsumerFacts, links: Links, zone: ZoneInfo) -> str:
    """Return the text about a consumer: label, features, splits, last snapshot, and evidence for each feature group."""
    consumer = facts.consumer
    horizon = consumer.label_horizon_days
    paragraphs = [
        facts.description,
        f"**Label.** `{consumer.label}` ({consumer.label_kind}"
        + (f", {horizon} days after the request" if horizon else "")
        + f"), read with a lag of {consumer.label_lag_days} days · **Metrics.** "
        + ", ".join(consumer.metrics),
        f"**Features.** {len(facts.features)} of {links.model(consumer.features_model)}, with the label in "
        f"{links.model(consumer.training_model)}: "
        + ", ".join(
            f"{links.model(f'feat_job__{name}')} ({len(names)})"
            for name, names in facts.groups.items()
        ),
        f"**Splits.** By time: {cut_of(consumer)}, with an embargo of {consumer.embargo_days} days.",
        *_snapshot_lines(facts, zone),
        *(evidencetable(document) for document in facts.evidence),
    ]
    return "\n\n".join(paragraphs)


def evidencetable(document: Mapping[str, Any]) -> str:
    """Return one evidence document as a Markdown table with a caption."""
    whole = [score(document["all"][split]) for split in ("validation", "test")]
    lines = [
        ["all features", "", "", *whole],
        *(_group_line(document, group)[1:] for group in document["groups"]),
    ]
    return (
        f"**Evidence on {document['warehouse_id']}.** {document['metric']} of {document['seeds']} seeds, mean ± "
        f"standard deviation; {document['from'][:10]} to {document['to'][:10]}, rows: {_counted(document['rows'])}; "
        f"snapshot {document['snapshot']}. *Adds* is the score of all features minus the score without the group. "
        "Scores that differ by less than their spreads count as equal. Features are chosen by the validation score; "
        "the test score is only reported. Trend of all features on validation: "
        f"{trend_of(document)}.\n\n{table(_GROUP_HEAD[1:], lines)}"
    )


def candidate_page(
    candidate: Candidate, description: str, links: Links, explained: Mapping[str, Why]
) -> str:
    """Return a candidate's description, with links to the columns that the candidate was to replace or complement."""
    lost = ", ".join(
        f"{links.feature(explained[name])} in {links.model(explained[name].model)}"
        for name in candidate.lost_to
        if name in explained
    )
    return f"{description}\n\n**To complement or replace** {lost}" if lost else description


def verdict_of(candidate: Candidate) -> str:
    """Return the verdict and date at the start of a candidate's description, or "Tried" if there are none."""
    found = _VERDICT.match(candidate.description)
    return " on ".join(filter(None, found.groups())) if found else "Tried"


def local(at: datetime, zone: ZoneInfo) -> str:
    """Format a timestamp in a zone, to the minute."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. In cells, line breaks become blanks and ``|`` becomes ``/``."""
    rows = [head, ["---"] * len(head), *lines]
    cells = ([" ".join(cell.split()).replace("|", "/") for cell in row] for row in rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


_GROUP_HEAD = (
    "measured on",
    "features",
    "adds, validation",
    "adds, test",
    "alone, validation",
    "alone, test",
)


def _group_line(document: Mapping[str, Any], group: Mapping[str, Any]) -> list[str]:
    where = f"{document['warehouse_id']}: {document['consumer']}, {document['metric']}"
    if group["is_empty"]:
        return [where, str(group["name"]), *["constant or NULL"] * 4]
    return [
        where,
        f"{group['name']} ({len(group['features'])})",
        signed(group["adds"]["validation"]),
        signed(group["adds"]["test"]),
        score(group["alone"]["validation"]),
        score(group["alone"]["test"]),
    ]


def _reasons(
    why: Why, description: str, consumers: Sequence[ConsumerFacts], links: Links
) -> list[str]:
    """Return paragraphs about a column: its description, reasons, serving and owner, and the consumers that use it."""
    meta = why.meta
    paragraphs = [description or why.description]
    paragraphs += [
        f"**{heading}.** {meta[key]}"
        for heading, key in (("Why", "why"), ("Transform", "transform"))
        if meta.get(key)
    ]
    facts = [
        f"{name}: {meta[key]}"
        for name, key in (
            ("Unit", "unit"),
            ("NULL", "null_means"),
            ("served by", "serve"),
            ("owner", "owner"),
            ("added", "added"),
        )
        if meta.get(key)
    ]
    users = ", ".join(links.consumer(each) for each in consumers if why.column in each.features)
    paragraphs.append(" · ".join([*facts, f"**Used by** {users or 'no consumer'}"]))
    if meta.get(VERIFIED_BY):
        paragraphs.append(f"**Verified** {VERIFIED_ALONE}.")
    return paragraphs


def _drawing(column: str, facts: ConsumerFacts, links: Links) -> list[str]:
    """Return a column's drawing and caption. The caption starts with "**Drawing", by which page.js recognizes it."""
    profile = facts.profiles.get(column)
    if profile is None:
        return []
    caption = f"**Drawing for {links.consumer(facts)}.** {describe_profile(profile, facts.consumer.label)}"
    if column not in facts.drawings:
        return [caption]
    rows = _counted({name: profile.rows(name) for name in profile.bins})
    splits = "." if facts.snapshot is None else f"; splits of {facts.snapshot['id']}."
    # Keep the text alternative short, because the caption already describes the drawing in words.
    picture = f"![Drawing of {column} for {facts.consumer.name}, described below]({facts.drawings[column]})"
    return [picture, f"{caption} Rows: {rows}{splits}"]


def _snapshot_lines(facts: ConsumerFacts, zone: ZoneInfo) -> list[str]:
    if facts.problem is not None:
        return [f"**Last snapshot.** Cannot be read: {facts.problem}"]
    if facts.snapshot is None:
        return ["**Last snapshot.** None yet: run `mart export`."]
    snapshot = facts.snapshot
    lines = [
        [
            split["name"],
            f"{split['rows']:,}",
            str(snapshot["purged"][split["name"]]),
            *(local(parse_instant(split[end]), zone) for end in ("from", "to")),
        ]
        for split in snapshot["splits"]
    ]
    as_of = local(parse_instant(snapshot["as_of_at"]), zone)
    return [
        f"**Last snapshot.** `{snapshot['id']}`, as of {as_of} {zone.key}, {len(snapshot['parts'])} files, excluded: "
        f"{_counted(snapshot['excluded']) or 'none'}.",
        table(("split", "rows", "purged", "from", "to"), lines),
        *_left_out(snapshot),
        *(f"**Warning.** {warning}." for warning in manifest_warnings(snapshot)),
    ]


def _left_out(snapshot: Mapping[str, Any]) -> list[str]:
    """Return a paragraph that explains each kind of row that was left out of a snapshot; none if no row was left out.

    The paragraph is in a list, to be joined with others.
    """
    counts = count_left_out(snapshot["excluded"], snapshot["purged"].values())
    meanings = [f"`{name}`: {text}" for name, text in explain_left_out(counts)]
    return [f"**Left out.** {'. '.join(meanings)}."] if meanings else []


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in rows.items())
