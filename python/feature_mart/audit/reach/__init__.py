"""Find accesses of a build to something other than its models' inputs, by parsing the code without running it."""

from feature_mart.audit.reach.faults import Fault, find_faults

__all__ = ["Fault", "find_faults"]
