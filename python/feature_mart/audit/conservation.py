"""Implement `mart audit conservation`: every raw row is in the mart and in the snapshot, or left out for a reason."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from feature_mart.audit.accounts import ConservationReport, take_accounts
from feature_mart.audit.cutoffs import choose_cutoffs
from feature_mart.audit.leakage import open_subject, perturbed
from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.audit.truncation import build_whole
from feature_mart.core.manifest import parse_manifest
from feature_mart.core.settings import Settings
from feature_mart.exporter import list_snapshots, snapshot_on_disk
from feature_mart.runner import Progress, RunLog, read_dbt_manifest, require_built
from feature_mart.storage import Store

_STORMS = 5


def audit_conservation(
    settings: Settings,
    log: RunLog,
    snapshots: Store,
    *,
    perturb: int | None = None,
    progress: Progress | None = None,
) -> ConservationReport:
    """Reconcile the raw tables with the built mart, and the mart with the latest snapshots of a store.

    Call this inside `open_run`. With ``perturb`` (a seed), the audit builds and judges a mart from a perturbed copy of
    the warehouse, without snapshots.

    Raises:
        UsageError: there is no mart, or the warehouse cannot be audited.
        TerminalError: a model could not be built.
    """

    def show(what: str) -> None:
        if progress is not None:
            progress(0, 0, what)

    if perturb is not None:
        return _perturbed_accounts(settings, log, perturb, show)
    built = require_built(settings)
    log.as_of_at = built.as_of_at
    raw = read_raw_warehouse(settings.dwh, settings.mart_path, settings.warehouse)
    manifest = parse_manifest(read_dbt_manifest(settings))
    with log.stage("accounts"), ExitStack() as stack:
        show("accounts")
        latest = {
            line.consumer: stack.enter_context(snapshot_on_disk(line.address, settings.s3))
            for line in list_snapshots(snapshots)
            if line.is_latest
        }
        return take_accounts(
            settings.mart_path, raw, settings.clock, built.as_of_at, manifest, latest
        )


def _perturbed_accounts(
    settings: Settings, log: RunLog, seed: int, show: Callable[[str], None]
) -> ConservationReport:
    show("compile")
    with open_subject(settings, log, None) as subject:
        with log.stage("perturb"):
            show("the perturbed warehouse")
            whole = build_whole(subject.project, subject.raw, subject.as_of_at, subject.folder)
            storms = choose_cutoffs(subject.raw, whole, settings.clock, _STORMS, seed)
            subject = perturbed(subject, storms, seed)
            mart = build_whole(subject.project, subject.raw, subject.as_of_at, subject.folder)
        with log.stage("accounts"):
            show("accounts")
            return take_accounts(
                mart,
                subject.raw,
                settings.clock,
                subject.as_of_at,
                subject.project.manifest,
                {},
            )
