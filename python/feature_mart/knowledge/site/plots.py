"""Draw one small SVG per feature column: distribution by split, median by month, and mean label by value.

Splits are distinguished by line style, and the share of unknown values is grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from feature_mart.core.errors import TransientError
from feature_mart.knowledge.site.profiles import Profile
from feature_mart.knowledge.svg import STYLE, figure_size, svg_text

_HEIGHT = 150
_LINES = ("-", "--", ":")
_PROCESSES = 2
#: The description mentions the median of a month only if at least this many rows have a known value.
_ENOUGH = 30
#: The minimum number of drawings for parallel processes. Fewer drawings take less time than starting processes.
_WORTH_A_PROCESS = 40
_STYLE: Any = {
    **STYLE,
    "font.size": 6.4,
    "axes.titlesize": 6.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.4,
    "ytick.major.width": 0.4,
    "lines.linewidth": 0.7,
}


def draw_profiles(profiles: Sequence[tuple[Profile, str]]) -> list[str]:
    """Return the SVG of each profile, in order; equal profiles give equal bytes.

    Args:
        profiles: pairs of a column's profile and the name of the label. Each column must have a known value.

    Raises:
        TransientError: a drawing process was killed.
    """
    if len(profiles) < _WORTH_A_PROCESS:
        return [draw_profile(*each) for each in profiles]
    try:
        with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
            return list(pool.map(draw_profile, *zip(*profiles, strict=True), chunksize=8))
    except BrokenProcessPool:
        raise TransientError(
            "A process that drew the features was killed, perhaps for lack of memory: try again later."
        ) from None


def draw_profile(profile: Profile, label: str) -> str:
    """Return a column's drawing as an SVG 480 pixels wide, with a title and a description in words.

    ``label`` is the name of the label.
    """
    from matplotlib.style import context

    # The default style overrides the machine's matplotlibrc, so the drawing is the same everywhere.
    with context(["default", _STYLE]):
        paper = _paper()
        drawn = [
            *_draw_splits(paper.splits, profile),
            *_draw_months(paper.months, paper.unknown, profile),
            *_draw_label(paper.label, profile),
        ]
        try:
            return svg_text(paper.figure, profile.column, describe_profile(profile, label))
        finally:
            for artist in drawn:
                artist.remove()


def describe_profile(profile: Profile, label: str) -> str:
    """Describe in one sentence what the drawing of a profile shows, for use as text alternative."""
    split = next(iter(profile.bins))
    if not profile.edges:
        return f"{profile.column} is NULL in every row."
    unknown = ", ".join(f"{_share(profile, name)} of {name}" for name in profile.bins)
    facts = [f"{profile.column} in {split}: {_middle(profile, split)}", f"unknown {unknown}"]
    if not profile.is_categorical:
        facts += _movement(profile)
    groups = profile.label_groups
    if len(groups) > 1:
        least, most = (choose(groups, key=lambda each: each[1]) for choose in (min, max))
        facts.append(
            f"mean {label} between {least[1]:.4g} (at values near {_short(least[0])}) and {most[1]:.4g} (near "
            f"{_short(most[0])}), with a standard deviation of {profile.label_deviation:.3g} over all rows"
        )
    return "; ".join(facts) + "."


def _middle(profile: Profile, split: str) -> str:
    counts = profile.bins[split]
    if not counts.known:
        return "never known"
    if profile.is_categorical:
        place = max(range(len(counts.rows)), key=lambda each: counts.rows[each])
        share = counts.rows[place] / counts.known
        code = counts.sums[place] / counts.rows[place]
        return f"{sum(map(bool, counts.rows))} codes, of which {_short(code)} is the most frequent ({share:.0%})"
    middle, low, high = (_short(profile.quantile(split, share)) for share in (0.5, 0.05, 0.95))
    about = "" if profile.extent.is_exact else "about "
    return f"median {about}{middle}, 90% of the values between {low} and {high}"


@dataclass(frozen=True, slots=True)
class _Paper:
    """A figure and its axes. The axes `unknown` are behind the axes `months` and have the vertical limits 0 and 1."""

    figure: Any
    splits: Any
    months: Any
    unknown: Any
    label: Any


@lru_cache(maxsize=1)
def _paper() -> _Paper:
    """Return the figure for all drawings, which is reused because creating axes takes longer than drawing on them."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=figure_size(_HEIGHT))
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.14, top=0.87, wspace=0.38)
    splits, months, label = figure.subplots(1, 3)
    unknown = figure.add_axes(months.get_position(), zorder=0)
    unknown.set_axis_off()
    unknown.set_ylim(0, 1)
    months.patch.set_visible(False)
    months.set_zorder(1)
    for axes in (splits, months, label):
        axes.tick_params(labelsize=6, length=1.5, pad=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=axes is months))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.ticklabel_format(axis="y", useOffset=False)
    months.xaxis.set_major_formatter("{x:.0f}")
    return _Paper(figure, splits, months, unknown, label)


def _draw_splits(axes: Any, profile: Profile) -> Iterator[Any]:
    axes.set_title("share of known rows", loc="left", y=1.0)
    most = 0.0
    for (name, counts), line in zip(profile.bins.items(), _LINES, strict=False):
        shares = [rows / max(counts.known, 1) for rows in counts.rows]
        most = max(most, *shares)
        yield axes.stairs(shares, profile.edges, color="black", linestyle=line, label=name)
    _fit(axes, profile.edges, (0.0, most))
    yield axes.legend(frameon=False, fontsize=6, handlelength=1.6, borderpad=0, labelspacing=0.2)


def _draw_months(axes: Any, behind: Any, profile: Profile) -> Iterator[Any]:
    axes.set_title("median (grey: unknown)", loc="left", y=1.0)
    at = [month.number / 12 for month in profile.months]
    shares = [month.unknown / month.rows for month in profile.months]
    yield behind.fill_between(at, shares, color="0.8", step="mid", linewidth=0)
    # Leave out the median of codes, which have no order.
    medians = [
        math.nan if month.median is None or profile.is_categorical else month.median
        for month in profile.months
    ]
    # Draw a point for a month whose neighbours have no known values, because a line needs two points.
    padded = [math.nan, *medians, math.nan]
    alone = [
        place
        for place, value in enumerate(medians)
        if not math.isnan(value) and math.isnan(padded[place]) and math.isnan(padded[place + 2])
    ]
    yield from axes.plot(at, medians, color="black")
    yield from axes.plot(
        [at[each] for each in alone], [medians[each] for each in alone], "k.", markersize=2
    )
    known = [value for value in medians if not math.isnan(value)]
    _fit(axes, at, known)
    behind.set_xlim(axes.get_xlim())


def _draw_label(axes: Any, profile: Profile) -> Iterator[Any]:
    axes.set_title(f"mean label, {next(iter(profile.bins))}", loc="left", y=1.0)
    if not profile.label_groups:
        _fit(axes, (), ())
        yield axes.text(0.5, 0.5, "unknown there", ha="center", transform=axes.transAxes)
        return
    values, means, rows = zip(*profile.label_groups, strict=True)
    sizes = [2 + 8 * each / max(rows) for each in rows]
    if not profile.is_categorical:
        yield from axes.plot(values, means, color="black", linewidth=0.5)
    yield axes.axhline(profile.label_mean, color="0.6", linewidth=0.5, linestyle="--")
    yield axes.scatter(values, means, s=sizes, color="black")
    # Include half a standard deviation of the label on both sides of the mean, so that a weak effect looks weak.
    reach = profile.label_deviation / 2
    _fit(axes, values, (*means, profile.label_mean - reach, profile.label_mean + reach))


def _fit(axes: Any, across: Sequence[float], up: Sequence[float]) -> None:
    """Set the limits of both axes to the range of the values (0 to 1 without values), with a margin of 5%."""
    for values, limit in ((across, axes.set_xlim), (up, axes.set_ylim)):
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        # If the values differ very little, keep the margin above the resolution of a float.
        room = max((high - low) / 20, abs(high) * 1e-9) or 0.5
        limit(low - room, high + room)


def _share(profile: Profile, split: str) -> str:
    rows = profile.rows(split)
    if not rows:
        return "no rows"
    share = 100 * profile.unknown[split] / rows
    return "under 1%" if 0 < share < 1 else f"{share:.0f}%"


def _movement(profile: Profile) -> list[str]:
    """Return a list with a phrase about the change of the median from the first to the last month with enough rows.

    The list is empty if fewer than two months have `_ENOUGH` rows with a known value.
    """
    known = [
        month
        for month in profile.months
        if month.median is not None and month.rows - month.unknown >= _ENOUGH
    ]
    if len(known) < 2:
        return []
    first, last = (
        f"{_short(each.median)} in {_month(each.number)}" for each in (known[0], known[-1])
    )
    return [f"over all splits, the monthly median changed from {first} to {last}"]


def _month(number: int) -> str:
    return f"{number // 12}-{number % 12 + 1:02d}"


def _short(value: float | None) -> str:
    return (
        "unknown"
        if value is None
        else f"{value:,.0f}"
        if 1000 <= abs(value) < 1e9
        else f"{value:.3g}"
    )
