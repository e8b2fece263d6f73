"""Proofs that the mart is right in time, from the raw warehouse and the compiled project alone.

=========================  =========================================================================
``audit_leakage()``         truncation invariance: nothing of before an instant knows what came after
``audit_incremental()``     random schedules of refreshes through dbt make what one full build makes
``perturb_warehouse()``     a copy of a raw warehouse in which everything goes wrong that can
=========================  =========================================================================
"""

from feature_mart.audit.compare import Difference
from feature_mart.audit.cutoffs import Cutoff
from feature_mart.audit.incremental import IncrementalReport, ScheduleReport, audit_incremental
from feature_mart.audit.leakage import audit_leakage
from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.tables import TableDifference
from feature_mart.audit.truncation import CutoffReport, LeakageReport

__all__ = [
    "Cutoff",
    "CutoffReport",
    "Difference",
    "IncrementalReport",
    "LeakageReport",
    "ScheduleReport",
    "TableDifference",
    "audit_incremental",
    "audit_leakage",
    "perturb_warehouse",
]
