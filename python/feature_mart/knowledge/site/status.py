"""Write the mart's state for the front page: the consumers' scores and trends, the last checks, and the owners."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from feature_mart.core.settings import Settings
from feature_mart.knowledge.evidence_files import Document, score, trend_of
from feature_mart.knowledge.site.facts import ConsumerFacts
from feature_mart.knowledge.site.pages import Links, local, table
from feature_mart.runner import BuiltMart, CheckCounts, RunLog

_SCORES = ("consumer", "measured on", "metric", "validation", "test", "trend", "snapshot")
_HOW_SCORED = (
    "Scores of the model with all features, as mean ± standard deviation over seeds. Features are chosen by the "
    "validation score; the trend compares this score with the previous measurement. The test score is only "
    "reported."
)
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The checks in a run record: the counts by result, and the ids of the nodes that warned or failed.

    `is_build_failed` is True if the stage `build` of the run failed.
    """

    run_id: str
    tests: CheckCounts
    warned: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    is_build_failed: bool = False

    @property
    def started_at(self) -> datetime | None:
        """Return the time at which the run started, from the beginning of `run_id`; None if the id has another form."""
        try:
            return datetime.strptime(self.run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class LastChecks:
    """The checks of the build that made the present mart (`built`), and of the newest failed build after it.

    `failed_since` is None if no later build failed.
    """

    built: RunRecord
    failed_since: RunRecord | None = None


@dataclass(frozen=True, slots=True)
class OwnedPath:
    """A line of CODEOWNERS: a pattern of paths, and the teams that review changes to these paths."""

    pattern: str
    teams: tuple[str, ...]


def read_last_checks(settings: Settings, built: BuiltMart, log: RunLog) -> LastChecks:
    """Return the checks of the present mart's build and of the newest build that failed after it.

    Args:
        log: the record of the present run, which is not in a file yet.
    """
    records = {each.run_id: each for each in _read_records(settings.runs_dir)}
    if log.run_id == built.run_id:
        records[log.run_id] = _parse_record(log.document(None))
    own = records.get(built.run_id)
    failed = [
        each for run_id, each in records.items() if run_id > built.run_id and each.is_build_failed
    ]
    return LastChecks(
        RunRecord(built.run_id, built.tests, own.warned if own else ()),
        max(failed, key=lambda each: each.run_id, default=None),
    )


def read_owned_paths(project: Path) -> tuple[OwnedPath, ...]:
    """Return the lines of CODEOWNERS in file order; none if there is no such file."""
    found = (project / folder / "CODEOWNERS" for folder in (".github", ".", "docs"))
    path = next((each for each in found if each.is_file()), None)
    if path is None:
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    words = (line.partition("#")[0].split() for line in lines)
    return tuple(OwnedPath(each[0], tuple(each[1:])) for each in words if len(each) > 1)


def scores_text(consumers: Sequence[ConsumerFacts], warehouse: str, links: Links) -> str:
    """Return the scores of each consumer on all warehouses as Markdown, this warehouse first.

    If a consumer has no score on this warehouse, or none for its last snapshot, the text names the command to run.
    """
    lines, todo = [], []
    for facts in consumers:
        here = [each for each in facts.evidence if each["warehouse_id"] == warehouse]
        there = [each for each in facts.evidence if each["warehouse_id"] != warehouse]
        lines += [_measured(facts, each, links) for each in here]
        if not here:
            metric = facts.consumer.metrics[0] if facts.consumer.metrics else ""
            lines.append([links.consumer(facts), warehouse, metric, "not measured", "", "", ""])
            todo.append(
                f"{facts.consumer.name} has no score on this warehouse: run {_command(facts)}."
            )
        elif facts.snapshot and facts.snapshot["id"] not in {each["snapshot"] for each in here}:
            last = f"The last snapshot of {facts.consumer.name}, `{facts.snapshot['id']}`,"
            todo.append(f"{last} is not measured: run {_command(facts)}.")
        lines += [_measured(facts, each, links) for each in there]
    return "\n\n".join((table(_SCORES, lines), _HOW_SCORED, *todo))


def checks_text(checks: LastChecks, links: Links, zone: ZoneInfo) -> str:
    """Return the last checks as Markdown: their time, the numbers by result, and which checks warned or failed."""
    built, later = checks.built, checks.failed_since
    if built.tests == CheckCounts():
        text = f"The mart was built by run `{built.run_id}` without checks: run `mart build` to check it."
    else:
        text = f"{_when(built, zone)}, run `{built.run_id}`: **{_counts(built.tests)}**."
    parts = [text]
    if built.warned:
        parts.append(f"Warned: {_named(built.warned, links)}.")
    if later is not None:
        named = f" Failed: {_named(later.failed, links)}." if later.failed else ""
        parts.append(
            f"**A later build failed** and did not replace the mart that is shown here. {_when(later, zone)}, run "
            f"`{later.run_id}`: {_counts(later.tests)}.{named} Run `mart build` to repeat the build."
        )
    return "\n\n".join(parts)


def owners_table(
    consumers: Sequence[ConsumerFacts],
    owners: Mapping[str, Sequence[str]],
    paths: Sequence[OwnedPath],
    links: Links,
) -> str:
    """Return a Markdown table of the teams to ask about consumers, features and files.

    Args:
        owners: by owner (`meta.owner`), the entities whose features the owner is responsible for.
        paths: the lines of CODEOWNERS.
    """
    lines = [
        [f"the model {links.consumer(facts)}, its label and its score", facts.contact]
        for facts in consumers
    ]
    lines += [
        [f"features of {', '.join(sorted(entities))}", owner]
        for owner, entities in sorted(owners.items())
    ]
    by_teams: dict[tuple[str, ...], list[str]] = {}
    for each in paths:
        by_teams.setdefault(each.teams, []).append(each.pattern)
    lines += [
        [_files(patterns), ", ".join(f"`{team}`" for team in teams)]
        for teams, patterns in by_teams.items()
    ]
    return table(("about", "ask"), lines)


def _files(patterns: Sequence[str]) -> str:
    named = ", ".join(f"`{each.lstrip('/')}`" for each in patterns if each != "*")
    if "*" in patterns:
        return (
            f"{named} and files that no other line names"
            if named
            else "files that no other line names"
        )
    return f"files in {named}"


def _measured(facts: ConsumerFacts, document: Document, links: Links) -> list[str]:
    return [
        links.consumer(facts),
        str(document["warehouse_id"]),
        str(document["metric"]),
        *(score(document["all"][split]) for split in ("validation", "test")),
        trend_of(document),
        f"`{document['snapshot']}`",
    ]


def _command(facts: ConsumerFacts) -> str:
    return f"`mart knowledge evidence {facts.consumer.name}`"


def _read_records(folder: Path) -> Iterator[RunRecord]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield _parse_record(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            # Skip a record that is in another format or truncated.
            continue


def _parse_record(document: Mapping[str, Any]) -> RunRecord:
    def ids(*statuses: str) -> tuple[str, ...]:
        return tuple(str(each["id"]) for each in document["nodes"] if each["status"] in statuses)

    return RunRecord(
        str(document["run_id"]),
        CheckCounts(**document["tests"]),
        ids("warn"),
        ids("fail", "error"),
        any(each["name"] == "build" and each["status"] == "failed" for each in document["stages"]),
    )


def _when(record: RunRecord, zone: ZoneInfo) -> str:
    started = record.started_at
    return "At an unknown time" if started is None else f"{local(started, zone)} {zone.key}"


def _counts(tests: CheckCounts) -> str:
    return f"{tests.passed:,} passed, {tests.failed:,} failed, {tests.warned:,} warned"


def _named(ids: Sequence[str], links: Links) -> str:
    named = ", ".join(links.check(each) for each in ids[:_MOST_NAMED])
    rest = len(ids) - _MOST_NAMED
    return f"{named} and {rest:,} more" if rest > 0 else named
