"""Provide fixtures for the tests of exports to S3: a bucket with a committed snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3_export_case import Bench, Place, make_place, run_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with run_bench(tmp_path_factory.mktemp("mart")) as bench:
        yield bench


@pytest.fixture
def place(bench: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return make_place(bench, tmp_path, re.sub(r"\W+", "-", request.node.name))
