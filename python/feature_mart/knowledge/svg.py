"""What every drawing has in common: SVG of the same bytes for the same data, with its text as text and told in words.

480 pixels wide, which is what the stock site shows; in greys and line styles, so that it reads in black and white.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

#: Pixels, of which an inch has 96.
WIDTH = 480
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "feature_mart",
    "text.parse_math": False,
    "axes.linewidth": 0.5,
}
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_DECLARED = re.compile(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*", re.DOTALL)
_FONTS = re.compile(r"font-family: [^;\"]*sans-serif")
#: What XML cannot hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: A tenth of a point is enough.
_PATH, _DECIMALS = re.compile(r' d="[^"]*"'), re.compile(r"(\d+\.\d)\d+")


def figure_size(height: int) -> tuple[float, float]:
    """matplotlib's inches for a drawing of that many pixels in height."""
    return WIDTH / 96, height / 96


def svg_text(figure: Any, title: str, words: str) -> str:
    """A figure as SVG, with a title and a description for who cannot see it."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=_NOTHING)
    svg = _FONTS.sub("font-family: sans-serif", _DECLARED.sub("", written.getvalue()))
    head, end, rest = svg.partition(">")
    drawn = _PATH.sub(lambda path: _DECIMALS.sub(r"\1", path.group()), rest)
    told = f"\n <title>{escape(title)}</title>\n <desc>{escape(words)}</desc>"
    lines = _UNPRINTABLE.sub(" ", f'{head} role="img"{end}{told}{drawn}').splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"
