"""The documentation site: dbt docs, as one page that works from a file and from any static host."""

from __future__ import annotations

import functools
import http.server
import shutil
from pathlib import Path

from feature_mart.errors import TerminalError, UsageError
from feature_mart.runner.build import dbt_variables
from feature_mart.runner.built import require_built
from feature_mart.runner.dbt import Progress, invoke_dbt, require_success
from feature_mart.runner.engines import open_engine
from feature_mart.runner.report import RunLog
from feature_mart.settings import Settings


def build_docs(settings: Settings, log: RunLog, progress: Progress | None = None) -> Path:
    """Write the site of the built mart, inside `open_run`; returns its front page.

    Raises:
        UsageError: there is no mart yet.
        TerminalError: dbt could not write it; the earlier site stays.
        TransientError: another program has the mart open for writing.
    """
    built = require_built(settings)
    log.as_of_at = built.as_of_at
    with log.stage("docs"):
        target = settings.target_dir("docs")
        _share_parse(settings, target)
        engine = open_engine(settings)
        engine.open_for_docs()
        result = invoke_dbt(
            settings,
            ["docs", "generate", "--static", *_without_catalog(settings)],
            step="docs",
            database=engine.database,
            variables=dbt_variables(settings, built.as_of_at),
            progress=progress,
        )
        require_success(result, "dbt docs generate")
        engine.database.unlink(missing_ok=True)
        staged = settings.scratch_dir / "site"
        staged.mkdir(parents=True)
        # dbt's own page fetches its JSON, which a browser refuses from a file; this one carries it.
        shutil.copyfile(target / "static_index.html", staged / "index.html")
        for name in ("manifest.json", "catalog.json"):
            shutil.copyfile(target / name, staged / name)
        if (target / "assets").is_dir():
            shutil.copytree(target / "assets", staged / "assets")
        _swap(staged, settings.site_dir)
    return settings.site_dir / "index.html"


def open_site(settings: Settings, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the site, bound to this machine alone; port 0 takes any free one.

    Raises:
        UsageError: there is no site yet, or the port is taken.
    """
    if not (settings.site_dir / "index.html").is_file():
        raise UsageError(f"There is no site at {settings.site_dir} yet: run `mart docs` first.")
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(settings.site_dir)
    )
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used ({error.strerror}): choose another with --port."
        ) from None


def serve_docs(settings: Settings, port: int) -> None:
    """Serve the site on this machine only, until interrupted.

    Raises:
        UsageError: as `open_site`.
    """
    with open_site(settings, port) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _without_catalog(settings: Settings) -> list[str]:
    """A stand-in for BigQuery keeps no catalogue that dbt could read."""
    is_stand_in = settings.bigquery is not None and settings.bigquery.endpoint
    return ["--empty-catalog"] if is_stand_in else []


def _share_parse(settings: Settings, target: Path) -> None:
    """Let dbt start from the build's parsed project instead of reading every file again."""
    parsed = settings.target_dir("build") / "partial_parse.msgpack"
    if parsed.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parsed, target / parsed.name)


def _swap(staged: Path, site: Path) -> None:
    former = staged.parent / "former"
    try:
        if site.exists():
            site.rename(former)
        staged.rename(site)
    except OSError as error:
        if former.exists() and not site.exists():
            former.rename(site)
        raise TerminalError(f"The site could not be put in its place at {site}: {error}.") from None
