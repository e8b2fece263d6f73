"""Complete dbt's documentation page: insert the data, and add a style sheet and a script.

The data are inline because browsers do not let a page opened from disk fetch files. ``page.css`` names Japanese fonts
and adapts the page to narrow windows; ``page.js`` ranks the results of the search and hides tests in the graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from feature_mart.core.errors import TerminalError

_PLACES = {"manifest": '"MANIFEST.JSON INLINE DATA"', "catalog": '"CATALOG.JSON INLINE DATA"'}
#: Replacements for placeholders in dbt's page that browsers would take for addresses and request from the host.
_FALSE_ADDRESSES = {
    'xlink:href="{{ getIcon(': 'ng-attr-href="{{ getIcon(',
    "${require('./assets/favicons/favicon.ico')}": "data:,",
}
_REMOTE = re.compile(r"!(\[[^\]]*\]\(\s*(?:\w+:)?//)")
#: Keys with paths of this machine, which the page does not use.
_LOCAL_KEYS = ("compiled_path", "build_path", "root_path")


def assemble_page(template: str, manifest: Mapping[str, Any], catalog: Mapping[str, Any]) -> str:
    """Return dbt's ``index.html`` with both documents inline, and with our style sheet and script.

    Raises:
        TerminalError: dbt's page has no placeholder for a document, because it is of an unknown version.
    """
    page = template
    for wrong, right in _FALSE_ADDRESSES.items():
        page = page.replace(wrong, right)
    # Insert at the end of the head: after dbt's own script, and before AngularJS starts on the complete page.
    page = page.replace("</head>", f"{_additions()}</head>", 1)
    for document, place in ((manifest, _PLACES["manifest"]), (catalog, _PLACES["catalog"])):
        before, found, after = page.partition(place)
        if not found:
            raise TerminalError(
                "dbt's documentation page has no placeholder for the manifest or the catalog, so this version of "
                "dbt is not supported: install the versions in requirements.txt (`make venv`)."
            )
        page = before + _script(document) + after
    return page


def anonymous(manifest: dict[str, Any]) -> None:
    """Remove paths of this machine from a manifest, in place, and turn off dbt's usage tracking."""
    manifest["metadata"]["send_anonymous_usage_stats"] = False
    # Remove operations, which are the hooks of this run: they contain paths of files, and the page does not show them.
    manifest["nodes"] = {
        key: node for key, node in manifest["nodes"].items() if node["resource_type"] != "operation"
    }
    for kind in ("nodes", "sources", "exposures"):
        for node in manifest[kind].values():
            for key in _LOCAL_KEYS:
                if node.get(key):
                    node[key] = None


def without_remote_images(manifest: dict[str, Any]) -> None:
    """Replace images on other hosts by links, in all descriptions of a manifest, in place."""
    for kind in ("nodes", "sources", "exposures", "macros"):
        for node in manifest[kind].values():
            for each in (node, *(node.get("columns") or {}).values()):
                if each.get("description"):
                    each["description"] = _REMOTE.sub(r"\1", each["description"])
    for block in manifest["docs"].values():
        block["block_contents"] = _REMOTE.sub(r"\1", block["block_contents"])


def _additions() -> str:
    css, js = (
        resources.files(__package__).joinpath(f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    return f"<style>{css}</style><script>{js}</script>"


def _script(document: Mapping[str, Any]) -> str:
    """Return JSON that is safe inside a script element: `<` and the line separators of JavaScript are escaped."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for sign in ("<", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
