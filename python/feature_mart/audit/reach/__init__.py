"""Find accesses of a build to something other than its models' inputs, in the compiled code, which is not run."""

from feature_mart.audit.reach.faults import Fault, find_faults

__all__ = ["Fault", "find_faults"]
