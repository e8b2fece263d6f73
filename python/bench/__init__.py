"""Benchmark the mart: measure the wall time, CPU time and peak memory of stages, and compare them with bare queries."""
