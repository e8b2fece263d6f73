"""Fit and score a model once for each of several seeds, to measure how much the metrics vary with the seed."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from feature_mart.training.dataset import Snapshot
from feature_mart.training.model import TRAIN, check_score, evaluate, fit

_WIDTH = 48
#: A function that is called with the number of seeds done, the number of all seeds, and the current step.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, repr=False)
class SeedScores:
    """Metrics of models fitted once for each seed, on one split.

    Attributes:
        on: the splits used to fit.
        split: the split used to score.
        by_seed: the metrics by seed.
        rounds: the number of trees by seed.
        mean: the mean over the seeds, by metric; None if the metric has no value.
        spread: the standard deviation over the seeds, by metric; 0.0 for one seed, None if the metric has no value.
        warnings: the reasons why the figures may mislead, for example that the split has few rows.
    """

    on: tuple[str, ...]
    split: str
    by_seed: Mapping[int, Mapping[str, float | None]]
    rounds: Mapping[int, int]
    mean: Mapping[str, float | None]
    spread: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the mean and the spread of each metric, and the warnings, as text."""
        metrics = ", ".join(
            f"{name} {_shown(value)} ± {_shown(self.spread[name])}"
            for name, value in self.mean.items()
        )
        lines = [
            f"SeedScores on {self.split}, fitted on {' and '.join(self.on)}, {len(self.by_seed)} seeds: "
            f"{metrics or 'no metric'}",
            *(f"warning: {each}" for each in self.warnings),
        ]
        return "\n".join(lines)


def score_seeds(
    snapshot: Snapshot,
    seeds: Iterable[int] = range(5),
    *,
    on: Sequence[str] = TRAIN,
    split: str = "test",
    params: Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> SeedScores:
    """Fit boosted trees once for each seed, and score each model on one split.

    Args:
        on: the splits to fit on, as in `fit`.
        split: the split to score on.
        params: xgboost parameters that override the defaults.
        progress: called before each fit and after the last fit. True overwrites one line on stderr, False shows
            nothing, and None shows the line only in a terminal or a notebook.

    Raises:
        TerminalError: as in `fit`; or `split` cannot be scored, because it has no rows or only one distinct label.
        UsageError: as in `fit`, or there is no such split.
    """
    check_score(snapshot, split)
    by_seed: dict[int, dict[str, float | None]] = {}
    rounds: dict[int, int] = {}
    wanted = tuple(seeds)
    show = progress if callable(progress) else _line(progress)
    for done, seed in enumerate(wanted):
        show(done, len(wanted), f"seed {seed}")
        model = fit(snapshot, seed=seed, params=params, on=on)
        by_seed[seed] = evaluate(snapshot, model, split=split)
        rounds[seed] = model.rounds
    show(len(wanted), len(wanted), "done")
    names = list(next(iter(by_seed.values()), {}))
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    for name in names:
        values = [value for metrics in by_seed.values() if (value := metrics[name]) is not None]
        mean[name] = fmean(values) if values else None
        spread[name] = (stdev(values) if len(values) > 1 else 0.0) if values else None
    doubts = (*snapshot.judge_fit(on), *snapshot.judge_score(split))
    warnings = tuple(each.text for each in doubts)
    return SeedScores(tuple(on), split, by_seed, rounds, mean, spread, warnings)


def _shown(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4f}"


def _line(is_shown: bool | None) -> Progress:
    """Return a function that writes the progress to one line of stderr, or a function that does nothing."""
    if is_shown is None:
        # The stderr of a notebook is not a terminal, but a notebook can overwrite a line as well.
        is_shown = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not is_shown:
        return lambda _done, _total, _what: None

    def show(done: int, total: int, what: str) -> None:
        end = "\n" if done == total else ""
        text = f"\rscore_seeds: {done} of {total} seeds, {what}"
        print(text.ljust(_WIDTH), end=end, file=sys.stderr, flush=True)

    return show
