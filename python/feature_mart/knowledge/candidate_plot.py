"""Draw the plot of a measured candidate from its document."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import MaxNLocator

from feature_mart.knowledge.candidate_bins import UNKNOWN
from feature_mart.knowledge.evidence_files import score as score_text
from feature_mart.knowledge.svg import STYLE, figure_size, svg_text

_HEIGHT = 240
_STYLE: Any = {**STYLE, "font.size": 7.5}
_METRICS = {"r2": "R²", "auc": "AUC", "mae": "mean absolute error"}


def draw_candidate(document: Mapping[str, Any]) -> bytes:
    """Return the plot of a document of the schema candidate.json, as SVG.

    The left panel shows, for the column that best separates the labels, the mean label and the number of train rows in
    each bin. The right panel shows the scores with and without the candidate, with their spreads over the seeds.
    """
    # The default style overrides the machine's matplotlibrc, so the plot is the same everywhere.
    with context(["default", _STYLE]), warnings.catch_warnings():
        # Characters that matplotlib's font lacks, such as kanji, do not matter: the SVG stores text, not glyphs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=figure_size(_HEIGHT))
        FigureCanvasSVG(figure)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_bins(left, document)
        _draw_scores(right, document)
        figure.tight_layout(pad=0.6, w_pad=1.2)
        return svg_text(figure, _title(document), describe_plot(document)).encode()


def describe_plot(document: Mapping[str, Any]) -> str:
    """Return the plot's text alternative, which describes the plot in words."""
    telling, metric = document["telling"], _METRICS.get(document["metric"], document["metric"])
    bins = telling["bins"]
    least, most = (choose(bins, key=lambda each: each["mean"]) for choose in (min, max))
    return (
        f"Left: mean {document['label']} by {telling['column']} on {document['rows']['train']:,} rows of train, "
        f"from {least['mean']:.2f} at {least['name']} to {most['mean']:.2f} at {most['name']}. "
        f"Right: {metric} on validation {score_text(document['with'])} with the candidate, "
        f"{score_text(document['without'])} without."
    )


def _title(document: Mapping[str, Any]) -> str:
    return f"{document['candidate']}: {document['consumer']} of {document['warehouse_id']}"


def _draw_bins(means: Axes, document: Mapping[str, Any]) -> None:
    telling = document["telling"]
    bins = telling["bins"]
    places = range(len(bins))
    counts = means.twinx()
    counts.bar(places, [each["rows"] for each in bins], color="0.85", width=0.8)
    counts.set_ylabel("rows (bars)")
    counts.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    # Connect only numbers with a line: texts and the bin of unknown values have no order.
    others = [place for place in places if telling["is_text"] or bins[place]["name"] == UNKNOWN]
    numbers = [place for place in places if place not in others]
    for at, style in ((numbers, "-o"), (others, "D")):
        heights = [bins[place]["mean"] for place in at]
        means.plot(at, heights, style, color="black", linewidth=1.2, markersize=3.5)
    # Draw the dots in front of the bars. Without this, the twin axes with the bars would be in front.
    means.set_zorder(counts.get_zorder() + 1)
    means.patch.set_visible(False)
    means.set_ylabel(f"mean {document['label']} (dots)")
    means.yaxis.set_major_locator(MaxNLocator(5))
    means.set_xticks(
        places,
        [each["name"] for each in bins],
        rotation=40,
        horizontalalignment="right",
        rotation_mode="anchor",
    )
    means.set_xlabel(telling["column"])
    means.set_title("train", fontsize=8)


def _draw_scores(axes: Axes, document: Mapping[str, Any]) -> None:
    for place, (side, style, fill) in enumerate(
        (("without", "--", "white"), ("with", "-", "black"))
    ):
        score = document[side]
        _, _, (bar,) = axes.errorbar(
            [place],
            [score["mean"]],
            yerr=[score["spread"]],
            color="black",
            marker="o",
            markersize=5,
            markerfacecolor=fill,
            capsize=5,
            linewidth=1.2,
        )
        bar.set_linestyle(style)
    axes.set_xlim(-0.6, 1.6)
    names = [
        f"{side}\n{document[side]['mean']:.4f}\n± {document[side]['spread']:.4f}"
        for side in ("without", "with")
    ]
    axes.set_xticks([0, 1], names)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(y=0.3)
    axes.set_ylabel(_METRICS.get(document["metric"], document["metric"]))
    seeds = document["seeds"]
    axes.set_title(f"validation, {seeds} seed{'s' if seeds > 1 else ''}", fontsize=8)
