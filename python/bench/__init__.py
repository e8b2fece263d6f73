"""Measures the mart: seconds, CPU seconds and peak memory by stage, and ratios to bare queries."""
