"""Upload the site to a static host, the front page last, for `mart docs --publish`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from feature_mart.core.errors import UsageError
from feature_mart.storage import Headers, Store

_AT_ONCE = 8
_PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
#: Cache-Control of the front page: the browser revalidates the page and gets a 304 if it has not changed.
_ASK = "no-cache"
#: Cache-Control of drawings: the name of a drawing contains its hash, so the browser may cache it for ever.
_KEEP = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a publication: the address of the front page, and the number of files and bytes sent."""

    address: str
    files: int
    bytes: int


def check_place(store: Store) -> None:
    """Check that a store can be read, so that a wrong address, account or bucket is reported before the site is built.

    Raises:
        FeatureMartError: the store refuses access.
        UsageError: the folder cannot be used.
    """
    try:
        store.sha256(_PAGE)
    except OSError as error:
        raise UsageError(
            f"The site cannot be published to {store.address()}: {error}. Name another place with --publish."
        ) from None


def publish_site(site: Path, store: Store) -> Published:
    """Copy every file of the site to a bucket or folder. Existing files are replaced, and no file is deleted.

    The front page is written last, after everything that it links to. Links are relative, so the site works under any
    prefix.

    Raises:
        UsageError: there is no site yet.
        FeatureMartError: the store refuses access. The former front page and its drawings are kept.
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
