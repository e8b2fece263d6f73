"""Check that an engine computes macros as BigQuery's documentation says, and that both engines build equal tables.

=======================  ===========================================================================
``check_cases(…)``       run every golden case on the target's engine, and return expected and found values
``compare_sample(…)``    build a sample on BigQuery by increments and on DuckDB in full, and compare all tables
=======================  ===========================================================================
"""

from feature_mart.conformance.cases import CaseResult, check_cases
from feature_mart.conformance.sample import compare_sample
from feature_mart.conformance.tables import TableComparison, compare_engines

__all__ = ["CaseResult", "TableComparison", "check_cases", "compare_engines", "compare_sample"]
