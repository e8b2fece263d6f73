"""Test exports, pins and rollbacks on stores that refuse or ignore conditional writes.

An export must fail before it sends a part, unless the store refuses only the condition on latest.json.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import snapshot_case as case
from feature_mart.core.errors import TerminalError
from feature_mart.core.services import S3Options
from feature_mart.exporter import pin_snapshot, roll_back, verify_snapshot
from feature_mart.storage import FolderStore
from feature_mart.storage.s3_errors import WITHOUT_CONDITIONS
from s3_export_case import ALONE, COMMITTED, CONSUMER, Place, note_fault
from s3_proxy import Fault

PROBE = f"{CONSUMER}/.conditional-writes"


def refused(place: Place, fault: Fault) -> str:
    """Return the message of an export with this fault; assert exit code 1 before any part is sent."""
    place.bench.proxy.faults.append(fault)
    with pytest.raises(TerminalError) as failed:
        place.export()
    said = str(failed.value)
    assert (failed.value.exit_code, place.saw()) == (1, ALONE)
    place.assert_untouched()
    assert {request.path.rpartition(f"{place.prefix}/")[2] for request in place.written()} == {
        PROBE
    }
    assert place.store().address(PROBE) in said
    assert WITHOUT_CONDITIONS in said
    return said


@pytest.mark.parametrize(
    ("status", "code", "header"),
    [(501, "NotImplemented", "if-match"), (405, "MethodNotAllowed", "if-none-match")],
)
def test_a_store_that_refuses_a_condition_is_told_at_the_first_write(
    status: int, code: str, header: str, place: Place
) -> None:
    fault = Fault("status", "", "", status=status, code=code, header=header)
    said = refused(place, fault)
    assert f"PutObject failed with {code}" in said
    assert "This store does not support conditional writes" in said
    note_fault(place, f"{status} {code} to {header}", ALONE, said)


@pytest.mark.parametrize(
    ("header", "is_first"), [("if-none-match", True), ("if-none-match", False), ("if-match", True)]
)
def test_a_store_that_ignores_a_condition_is_told_at_the_first_write(
    header: str, is_first: bool, place: Place
) -> None:
    if is_first:
        place.delete(PROBE)
        del place.before[PROBE]
    said = refused(place, Fault("blind", "PUT", "", header=header))
    assert "This store ignores conditional writes" in said
    note_fault(place, f"{header} ignored", ALONE, said)


def test_latest_is_left_where_its_condition_is_refused(place: Place) -> None:
    fault = Fault("status", "PUT", "latest.json", status=501, code="NotImplemented")
    place.bench.proxy.faults.append(fault)
    with pytest.raises(TerminalError, match=r"latest\.json: PutObject failed .* \(If-Match\)"):
        place.export()
    assert place.saw() == COMMITTED
    with pytest.raises(TerminalError, match="does not support conditional writes"):
        roll_back(place.store(), CONSUMER, place.new_id, "try")
    place.assert_untouched()


def test_a_pin_is_refused_too(place: Place) -> None:
    fault = Fault("status", "PUT", "pins/", status=501, code="NotImplemented")
    place.bench.proxy.faults.append(fault)
    with pytest.raises(
        TerminalError, match=r"does not support conditional writes \(If-None-Match\)"
    ):
        pin_snapshot(place.store(), CONSUMER, place.earlier_id(), "try", case.AS_OF)


def test_a_store_that_refuses_a_condition_that_holds_is_not_for_later(place: Place) -> None:
    wrong = Fault("status", "PUT", "latest.json", status=412, code="PreconditionFailed")
    place.bench.proxy.faults.append(wrong)
    with pytest.raises(TerminalError, match="is unchanged, but the store refused 10"):
        place.export()
    assert place.saw() == COMMITTED


def test_an_export_asks_no_more_than_it_has_to(place: Place) -> None:
    """Send each part and document once, plus two requests that test whether the store honours conditions."""
    requests = place.bench.proxy.requests
    assert place.export().status == "written"
    assert Counter(request.method for request in requests) == {"GET": 15, "PUT": 17, "HEAD": 8}
    assert sum(request.path.endswith(PROBE) for request in requests) == 2
    requests.clear()
    assert place.export().status == "unchanged"
    assert Counter(request.method for request in requests) == {"GET": 6}


def test_a_snapshot_copied_from_a_folder_is_whole(place: Place, tmp_path: Path) -> None:
    """Follow the advice of the error message: export to a folder, and copy its files without conditions."""
    report = place.export(FolderStore(tmp_path / "out"))
    folder = Path(report.address)
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "_SUCCESS"]
    for path in (*files, folder / "_meta/_SUCCESS"):
        place.put(place.key(path.relative_to(folder).as_posix()), path.read_bytes())
    assert place.saw() == COMMITTED
    address = place.store().address(f"{CONSUMER}/snapshots/{report.id}")
    assert verify_snapshot(address, S3Options(endpoint=place.bench.server)).ok
