"""Test which moves of rows the selection audit finds for leaks and for honest changes of kind `selection`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feature_mart.audit.moved_rows import Move, Side, compare_rows
from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.core.settings import resolve_settings
from feature_mart.exporter import assign_splits
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner.compiled import CompiledProject, build_compiled, compile_project
from feature_mart.sample import write_sample
from plants import Plant, ProjectCopy, in_batches, read_plants

LEAKS = {plant.name: plant for plant in read_plants("merged_leaks") if plant.kind == "selection"}
HONEST = {plant.name: plant for plant in read_plants("honest_changes") if plant.kind == "selection"}
#: Maps the name of each leak to a move of rows that the audit must find, and to True if the audit must mark this move
#: as selected by the label.
MOVED = {
    "cheap_prices_left_out_of_training": ("training row removed", True),
    "deleted_jobs_left_out_of_the_spine": ("spine row removed", False),
    "void_jobs_dropped_from_training": ("training row removed", False),
    "negatives_sampled_by_hash": ("training row removed", True),
    "low_prices_are_called_missing": ("newly excluded: price_missing", True),
    "hire_label_excluded_without_proposals": ("newly excluded: void", False),
    # The leak removes only five jobs, all without a hire. This may be chance, so the audit need not mark the move.
    "spine_without_clients_who_never_hired": ("spine row removed", False),
    "dear_jobs_are_dated_into_training": ("request time changed: earlier", True),
    "only_jobs_with_offers_in_the_mart": ("features row removed", False),
    "reposted_jobs_keep_the_one_that_was_filled": ("training row removed", False),
    "closed_jobs_filtered_in_staging": ("spine row removed", False),
}
#: Maps the name of each honest change that moves rows to the only kind of move that it causes. The other honest changes
#: move no rows in this sample.
MOVED_HONESTLY = {"larger_validation_share": "split changed"}
STILL = in_batches([plant for name, plant in HONEST.items() if name not in MOVED_HONESTLY])


class SelectionBench:
    """A small sample built by the unchanged project, with which changed copies of the project are compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dwh = folder / "sample"  # seeds/load_clock.csv has lines for a warehouse named `sample`.
        write_sample(dwh, jobs=1200, seed=3)
        environment = {"MART_HOME": str(folder / "home")}
        self.settings = resolve_settings(dwh=str(dwh), environment=environment)
        self.as_of_at = self.settings.clock.refresh_at(newest_load(dwh))
        self.before = self.sides("base", ())

    def sides(self, name: str, plants: Sequence[Plant]) -> dict[str, Side]:
        """Build a copy of the project with these changes, and return the rows of each consumer."""
        copy = ProjectCopy(self.folder / name)
        with copy.planted(plants):
            settings = replace(self.settings, project=copy.folder)
            project = compile_project(settings, self.as_of_at, copy.folder)
        raw = read_raw_warehouse(self.settings.dwh, project.seeds, self.settings.warehouse)
        built = copy.folder / "built.duckdb"
        build_compiled(project, built, raw.every_row(), self.as_of_at)
        return self._sides(project, built)

    def moves(self, plants: Sequence[Plant]) -> dict[str, Move]:
        """Return one move of rows for each kind and detail that these changes cause in any consumer.

        If several moves match, prefer one that is marked as selected by the label.
        """
        after = self.sides("-".join(plant.name for plant in plants)[:60], plants)
        reports = [compare_rows(self.before[name], after[name]) for name in after]
        found: dict[str, Move] = {}
        for move in (move for report in reports for move in report.moves):
            what = f"{move.what}: {move.detail}".rstrip(": ")
            if what not in found or any(move.is_selected):
                found[what] = move
        return found

    def _sides(self, project: CompiledProject, built: Path) -> dict[str, Side]:
        zone = ZoneInfo(self.settings.clock.timezone)
        return {
            each.name: Side(
                built,
                each,
                assign_splits(built, each, project.manifest.columns(each.training_model), zone),
            )
            for each in project.manifest.consumers
        }


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> SelectionBench:
    return SelectionBench(tmp_path_factory.mktemp("selection"))


def test_every_leak_of_the_kind_is_expected_to_move_rows() -> None:
    assert MOVED.keys() == LEAKS.keys()
    assert MOVED_HONESTLY.keys() <= HONEST.keys()


@pytest.mark.audit
@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_listed_with_the_rows_it_moves(bench: SelectionBench, name: str) -> None:
    what, is_marked = MOVED[name]
    found = bench.moves([LEAKS[name]])
    assert what in found, found
    assert any(found[what].is_selected) or not is_marked, found[what]


@pytest.mark.audit
@pytest.mark.parametrize("name", MOVED_HONESTLY)
def test_an_honest_change_moves_what_it_says(bench: SelectionBench, name: str) -> None:
    found = bench.moves([HONEST[name]])
    assert found
    assert all(what.startswith(MOVED_HONESTLY[name]) for what in found), found
    assert not any(any(move.is_selected) for move in found.values()), found


@pytest.mark.audit
@pytest.mark.parametrize("batch", STILL, ids=lambda batch: f"{len(batch)} at once")
def test_other_honest_changes_move_nothing(bench: SelectionBench, batch: list[Plant]) -> None:
    assert bench.moves(batch) == {}
