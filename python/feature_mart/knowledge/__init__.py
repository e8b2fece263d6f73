"""Why each feature is there: required, checked against what changed, and told.

==================================  =====================================================
``check_knowledge(project, base)``  what is missing of the reasons
``explain_column(project, name)``   everything that is written of one column
==================================  =====================================================
"""

from feature_mart.knowledge.check import check_knowledge
from feature_mart.knowledge.rationale import Missing
from feature_mart.knowledge.why import Candidate, Why, explain_column

__all__ = ["Candidate", "Missing", "Why", "check_knowledge", "explain_column"]
