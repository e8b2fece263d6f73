"""Why each feature is there: required, checked against what changed, measured, and told.

==================================  =====================================================
``check_knowledge(project, base)``  what is missing of the reasons
``explain_column(project, name)``   everything that is written of one column
``measure_evidence(address, …)``    what each group of features is worth on a snapshot
``build_site(settings, …)``         the documentation site; served and published by ``knowledge.site``
==================================  =====================================================
"""

from feature_mart.knowledge.changes import UNJUDGED
from feature_mart.knowledge.check import check_knowledge
from feature_mart.knowledge.evidence import measure_evidence, write_evidence
from feature_mart.knowledge.rationale import Missing
from feature_mart.knowledge.site import build_site
from feature_mart.knowledge.why import Candidate, Why, explain_column

__all__ = [
    "UNJUDGED",
    "Candidate",
    "Missing",
    "Why",
    "build_site",
    "check_knowledge",
    "explain_column",
    "measure_evidence",
    "write_evidence",
]
