"""Audits of the mart against the raw warehouse and the compiled project.

=========================  =========================================================================
``audit_leakage()``         check that no value before a cutoff changes when later raw rows are removed
``audit_every_refresh()``   audit leakage in a small generated warehouse, with a cutoff at every refresh
``audit_incremental()``     check that random schedules of dbt builds give the rows of one full build
``audit_conservation()``    check that raw rows are in the mart and the snapshots, or left out for a reason
``audit_reproduce()``       rebuild a snapshot with the code of its commit, and compare the manifests
``audit_selection()``       count the rows that a change of the project moves, by label
``judge_file()``            find values of a training file that were not known at the time of the row
``perturb_warehouse()``     write a copy of a raw warehouse with many corrected, late and duplicated rows
=========================  =========================================================================
"""

from feature_mart.audit.accounts import Account, ConservationReport
from feature_mart.audit.compare import Difference
from feature_mart.audit.conservation import audit_conservation
from feature_mart.audit.cutoffs import Cutoff
from feature_mart.audit.every_refresh import audit_every_refresh
from feature_mart.audit.file import ColumnVerdict, FileReport, judge_file
from feature_mart.audit.given_file import Question
from feature_mart.audit.given_rows import RowFault
from feature_mart.audit.incremental import IncrementalReport, ScheduleReport, audit_incremental
from feature_mart.audit.leakage import audit_leakage
from feature_mart.audit.moved_rows import ConsumerMoves, LabelGroup, Move
from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.reproduce import ReproduceReport, audit_reproduce
from feature_mart.audit.selection import ConsumerReport, SelectionReport, audit_selection
from feature_mart.audit.tables import TableDifference
from feature_mart.audit.truncation import CutoffReport, LeakageReport

__all__ = [
    "Account",
    "ColumnVerdict",
    "ConservationReport",
    "ConsumerMoves",
    "ConsumerReport",
    "Cutoff",
    "CutoffReport",
    "Difference",
    "FileReport",
    "IncrementalReport",
    "LabelGroup",
    "LeakageReport",
    "Move",
    "Question",
    "ReproduceReport",
    "RowFault",
    "ScheduleReport",
    "SelectionReport",
    "TableDifference",
    "audit_conservation",
    "audit_every_refresh",
    "audit_incremental",
    "audit_leakage",
    "audit_reproduce",
    "audit_selection",
    "judge_file",
    "perturb_warehouse",
]
