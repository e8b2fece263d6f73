"""Proofs that the mart is right in time, from the raw warehouse and the compiled project alone.

=========================  =========================================================================
``audit_leakage()``         truncation invariance: nothing of before an instant knows what came after
``audit_incremental()``     random schedules of refreshes through dbt make what one full build makes
``audit_conservation()``    every raw row is in the mart and the snapshot, or a reason why not
``audit_reproduce()``       a snapshot built anew from its manifest, by the code of its commit
``audit_selection()``       the rows that a change of the project moves, by their label
``judge_file()``            a training file made elsewhere: what in it could not have been known
``perturb_warehouse()``     a copy of a raw warehouse in which everything goes wrong that can
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
