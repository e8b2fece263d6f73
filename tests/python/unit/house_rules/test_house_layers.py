"""Test which layers a model of each layer may read, and for which reads the YAML must give a reason."""

from __future__ import annotations

import pytest

from house_rules.layers import check_layers

TERM = "models/features/term/feat_term__prices/feat_term__prices.sql"
JOB = "models/features/job/feat_job__posting/feat_job__posting.sql"
MART = "models/marts/price/mart_price__features/mart_price__features.sql"
INT = "models/intermediate/job/int_job__requests/int_job__requests.sql"


def found(path: str, reads: str, reasons: dict[str, str] | None = None) -> list[str]:
    """Return the findings for a model at ``path`` that reads the model at ``reads`` and states ``reasons`` for it."""

    def node(at: str, parents: list[str], meta: dict[str, object]) -> dict[str, object]:
        return {
            "resource_type": "model",
            "name": at.rpartition("/")[2].partition(".")[0],
            "original_file_path": at,
            "depends_on": {"nodes": parents},
            "config": {"meta": meta},
        }

    meta: dict[str, object] = {} if reasons is None else {"reads_later_layer": reasons}
    return list(check_layers({"nodes": {"a": node(path, ["b"], meta), "b": node(reads, [], {})}}))


@pytest.mark.parametrize(("path", "reads"), [(MART, JOB), (JOB, TERM), (TERM, INT), (TERM, TERM)])
def test_an_earlier_or_the_same_layer_may_be_read(path: str, reads: str) -> None:
    assert found(path, reads) == []


@pytest.mark.parametrize(("path", "reads"), [(TERM, JOB), (INT, TERM), (JOB, MART), (INT, JOB)])
def test_a_later_layer_needs_a_reason(path: str, reads: str) -> None:
    (line,) = found(path, reads)
    assert line.startswith(f"{path}: ") and "reads_later_layer" in line
    name = reads.rpartition("/")[2].partition(".")[0]
    assert found(path, reads, {name: "because"}) == []
    assert found(path, reads, {f"{name[:6]}*": "because"}) == []
    assert len(found(path, reads, {name: " "})) == 1


def test_a_reason_for_a_read_that_is_gone_is_reported() -> None:
    (line,) = found(JOB, TERM, {"mart_price__features": "because"})
    assert "mart_price__features: remove mart_price__features" in line


def test_a_model_outside_every_layer_is_reported() -> None:
    assert "is in no layer" in found("models/other/x.sql", INT)[0]
