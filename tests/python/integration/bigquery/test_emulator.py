"""Test that each patch of the emulator works and is still needed. Remove a patch that the emulator no longer needs."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from bigquery_emulator import PATCHES
from compiled_mart import PROJECT

_HEAD = """
import sys, types
sys.path.insert(0, {tests!r})
helpers = types.ModuleType("bqemulator.testing.testcontainers")
helpers.BigQueryEmulatorContainer = object
sys.modules[helpers.__name__] = helpers
import bigquery_emulator as emulator
from bqemulator.sql.translator import SQLTranslator
def translated(sql):
    return SQLTranslator().translate(sql).unwrap()
"""
_CONTRACT = """
sql = "create or replace table d.t (a int64) as ( select 1 as a )"
result = translated(sql)
print("(a " not in result.lower())
"""
_NULLS = """
import sqlglot
window = "partition by a order by b asc nulls last rows between unbounded preceding and current row"
tree = sqlglot.parse_one(f"select sum(x) over ({window}) as y from t", read="bigquery")
print("NULLS LAST" in tree.sql("bigquery"))
"""
_LITERALS = """
print("1.5e0" in translated("-- its client\'s\\nselect 1.5 as x, \'b\' as y").lower())
"""
_BOOT = """
from bqemulator.storage.engine import DuckDBEngine
import duckdb
class Engine:
    _connection = duckdb.connect()
try:
    DuckDBEngine._load_spatial(Engine())
    print(True)
except Exception:
    print(False)
"""
_READS = """
import pyarrow as pa
from bqemulator.grpc_api.read_servicer import BigQueryReadHandler
from bqemulator.streaming.read_session import create_read_session
from google.cloud.bigquery_storage_v1 import types
class Any:
    def __getattr__(self, name):
        return Any()
    def __call__(self, *_):
        return None
session = create_read_session("p", "t", pa.table({"a": [1, 2, 3]}))
request = types.ReadRowsRequest(read_stream=session.streams[0].name, offset=2)
handler = BigQueryReadHandler(Any())
answers = handler._handle_read_rows(types.ReadRowsRequest.serialize(request), None)
print(sum(types.ReadRowsResponse.deserialize(answer).row_count for answer in answers) == 1)
"""
CASES = {
    "patch_boot": _BOOT,
    "patch_contracts": _CONTRACT,
    "patch_null_order": _NULLS,
    "patch_literals": _LITERALS,
    "patch_reads": _READS,
}


def says(code: str, patch: str | None) -> str:
    """Run code in a new process, and return the output. Apply the patch first, unless ``patch`` is None."""
    head = _HEAD.format(tests=str(PROJECT / "tests" / "support"))
    patched = f"emulator.{patch}()\n" if patch else ""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + patched + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()[-1]


@pytest.mark.parametrize("patch", sorted(CASES))
def test_a_patch_is_needed_and_works(patch: str) -> None:
    assert says(CASES[patch], None) == "False", "the emulator does it by itself now"
    assert says(CASES[patch], patch) == "True"


def test_every_patch_has_a_test() -> None:
    assert {patch.__name__ for patch in PATCHES} == {*CASES, "spare_parsing"}
