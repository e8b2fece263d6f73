"""Check that an engine computes the mart as BigQuery's documentation says, and as the other engine does.

=======================  ===========================================================================
``check_cases(…)``       golden expressions of every macro, on the engine of the settings' target
``compare_sample(…)``    a sample built on BigQuery by increments and on DuckDB in full, table by table
=======================  ===========================================================================
"""

from feature_mart.conformance.cases import CaseResult, check_cases
from feature_mart.conformance.sample import compare_sample
from feature_mart.conformance.tables import TableComparison, compare_engines

__all__ = ["CaseResult", "TableComparison", "check_cases", "compare_engines", "compare_sample"]
