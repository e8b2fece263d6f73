"""Check, measure and publish the reasons for each feature.

==================================  =====================================================
``check_knowledge(project, base)``  find missing reasons, and changes without a new reason
``write_mart_columns(project)``     write the columns of the marts' YAML from the models that compute them
``explain_column(project, name)``   collect everything written about one column
``measure_evidence(address, …)``    measure the effect of each feature group on a model's score
``build_site(settings, …)``         build the documentation site; ``knowledge.site`` serves and publishes the site
==================================  =====================================================
"""

from feature_mart.knowledge.changes import UNJUDGED
from feature_mart.knowledge.check import check_knowledge
from feature_mart.knowledge.evidence import measure_evidence, write_evidence
from feature_mart.knowledge.evidence_files import check_seeds, evidence_path, rejected_path
from feature_mart.knowledge.mart_columns import write_mart_columns
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
    "check_seeds",
    "evidence_path",
    "explain_column",
    "measure_evidence",
    "rejected_path",
    "write_evidence",
    "write_mart_columns",
]
