"""What a build can reach beside its models' inputs: found in what dbt compiled, without running it."""

from feature_mart.audit.reach.faults import Fault, find_faults

__all__ = ["Fault", "find_faults"]
