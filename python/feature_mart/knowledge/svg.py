"""Write matplotlib figures as reproducible SVG: equal data give equal bytes.

A drawing is 480 pixels wide, the width that dbt's documentation page shows. It uses only greys and line styles, stores
text as text, and has a description for screen readers. Fonts are named once, on the root element: matplotlib's own font
has no Japanese characters, and without a named font a browser may show the Chinese forms of kanji.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

#: The width of a drawing in CSS pixels (96 pixels per inch).
WIDTH = 480
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "feature_mart",
    "text.parse_math": False,
    "axes.linewidth": 0.5,
}
#: Fonts of macOS, Windows, Android, Linux and Debian's fonts-ipaexfont-gothic (.ci/chromium), Latin fonts first.
FONTS = (
    "'DejaVu Sans', Verdana, 'Hiragino Sans', 'Yu Gothic', Meiryo, 'Noto Sans JP', 'Noto Sans CJK JP', "
    "IPAexGothic, sans-serif"
)
_NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_DECLARED = re.compile(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*", re.DOTALL)
_OWN_FONT = re.compile(r"; font-family: [^;\"]*sans-serif")
#: Characters that XML does not allow.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: Patterns to truncate coordinates to a tenth of a point, which makes the files smaller.
_PATH, _DECIMALS = re.compile(r' d="[^"]*"'), re.compile(r"(\d+\.\d)\d+")


def figure_size(height: int) -> tuple[float, float]:
    """Return the width and height in inches of a drawing `height` pixels high."""
    return WIDTH / 96, height / 96


def svg_text(figure: Any, title: str, words: str) -> str:
    """Return a figure as SVG, with a title and a description for screen readers."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=_NOTHING)
    svg = _OWN_FONT.sub("", _DECLARED.sub("", written.getvalue()))
    head, end, rest = svg.partition(">")
    drawn = _PATH.sub(lambda path: _DECIMALS.sub(r"\1", path.group()), rest)
    labels = f"\n <title>{escape(title)}</title>\n <desc>{escape(words)}</desc>"
    lines = _UNPRINTABLE.sub(
        " ", f'{head} role="img" style="font-family: {FONTS}"{end}{labels}{drawn}'
    ).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"
