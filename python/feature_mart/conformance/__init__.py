"""Check that an engine computes macros as BigQuery's documentation says, and that both engines build equal tables.

================================  ==================================================================
``check_cases(…)``                run every golden case on an engine, and return expected and found values
``compare_sample(…)``             build a sample on BigQuery by increments and on DuckDB in full, and compare all tables
``compare_reference_sample(…)``   build a sample on DuckDB, and compare each model with GoogleSQL's reference
                                  implementation
================================  ==================================================================
"""

from feature_mart.conformance.cases import CaseResult, check_cases
from feature_mart.conformance.models import ModelComparison
from feature_mart.conformance.reference import GOOGLESQL
from feature_mart.conformance.reference_sample import ReferenceReport, compare_reference_sample
from feature_mart.conformance.sample import compare_sample
from feature_mart.conformance.tables import TableComparison, compare_engines

__all__ = [
    "GOOGLESQL",
    "CaseResult",
    "ModelComparison",
    "ReferenceReport",
    "TableComparison",
    "check_cases",
    "compare_engines",
    "compare_reference_sample",
    "compare_sample",
]
