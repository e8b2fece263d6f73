"""`mart docs --publish`: the site on a static host, so that no reader sees a page without its drawings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from feature_mart.errors import UsageError
from feature_mart.storage import Headers, Store

_AT_ONCE = 8
_PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
#: Asked for each time, and answered by "not modified" where it is the same.
_ASK = "no-cache"
#: A drawing's address has its hash in it, so what lies there for a page never changes.
_KEEP = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Published:
    """Where the site's front page is now, and what was sent: files, and their bytes."""

    address: str
    files: int
    bytes: int


def check_place(store: Store) -> None:
    """Ask a place for its page: what refuses an address, an account or a bucket says so before the site is made.

    Raises:
        FeatureMartError: it refuses.
    """
    try:
        store.sha256(_PAGE)
    except OSError as error:
        raise UsageError(f"{store.address()} is no place for a site: {error}.") from None


def publish_site(site: Path, store: Store) -> Published:
    """Put every file of the site into a bucket or a folder; the front page last, so that what it links to is there.

    Links are relative, so it works under any prefix. Nothing that lies there is removed.

    Raises:
        UsageError: there is no site yet.
        FeatureMartError: the store refuses; the page that was there before stays, with its drawings.
    """
    if not (site / _PAGE).is_file():
        raise UsageError(f"There is no site at {site} yet: run `mart docs` first.")
    paths = [path for path in sorted(site.rglob("*")) if path.is_file()]
    others = [path for path in paths if path != site / _PAGE]

    def put(path: Path) -> int:
        key, data = path.relative_to(site).as_posix(), path.read_bytes()
        keep = _KEEP if key.startswith("assets/") else _ASK
        content_type = _TYPES.get(path.suffix, "application/octet-stream")
        store.put(key, data, Headers(content_type, keep))
        return len(data)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sent = sum(pool.map(put, others))
    sent += put(site / _PAGE)
    return Published(store.address(_PAGE), len(paths), sent)
