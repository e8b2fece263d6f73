"""dbt's own page with its data inside, as it works from a file: browsers fetch nothing for a page that is one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from feature_mart.errors import TerminalError

_PLACES = {"manifest": '"MANIFEST.JSON INLINE DATA"', "catalog": '"CATALOG.JSON INLINE DATA"'}
#: What browsers would ask the host for, though it is no file: addresses that are filled in only later, or never were.
_FALSE_ADDRESSES = {
    'xlink:href="{{ getIcon(': 'ng-attr-href="{{ getIcon(',
    "${require('./assets/favicons/favicon.ico')}": "data:,",
}
_REMOTE = re.compile(r"!(\[[^\]]*\]\(\s*(?:\w+:)?//)")
#: Of this machine, and of no use on the page.
_LOCAL_KEYS = ("compiled_path", "build_path", "root_path")


def assemble_page(template: str, manifest: Mapping[str, Any], catalog: Mapping[str, Any]) -> str:
    """dbt's ``index.html`` with both documents in it.

    Raises:
        TerminalError: dbt's page has no place for them, so it is another version's.
    """
    page = template
    for wrong, right in _FALSE_ADDRESSES.items():
        page = page.replace(wrong, right)
    for document, place in ((manifest, _PLACES["manifest"]), (catalog, _PLACES["catalog"])):
        before, found, after = page.partition(place)
        if not found:
            raise TerminalError(
                "dbt's documentation page has no place for its data: it is of a version that is not known here. "
                "Install what requirements.txt pins (`make venv`)."
            )
        page = before + _script(document) + after
    return page


def anonymous(manifest: dict[str, Any]) -> None:
    """Take out what names this machine, and the consent to be counted by dbt's maker."""
    manifest["metadata"]["send_anonymous_usage_stats"] = False
    # Hooks of this run, which name the files that it read; the page shows none.
    manifest["nodes"] = {
        key: node for key, node in manifest["nodes"].items() if node["resource_type"] != "operation"
    }
    for kind in ("nodes", "sources", "exposures"):
        for node in manifest[kind].values():
            for key in _LOCAL_KEYS:
                if node.get(key):
                    node[key] = None


def without_remote_images(manifest: dict[str, Any]) -> None:
    """Make links of images that another host would be asked for."""
    for kind in ("nodes", "sources", "exposures", "macros"):
        for node in manifest[kind].values():
            for each in (node, *(node.get("columns") or {}).values()):
                if each.get("description"):
                    each["description"] = _REMOTE.sub(r"\1", each["description"])
    for block in manifest["docs"].values():
        block["block_contents"] = _REMOTE.sub(r"\1", block["block_contents"])


def _script(document: Mapping[str, Any]) -> str:
    """JSON that ends no script element and no line of one."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for sign in ("<", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
