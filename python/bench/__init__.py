"""Benchmark the mart: wall time, CPU time and peak memory by stage, and ratios to bare queries."""
