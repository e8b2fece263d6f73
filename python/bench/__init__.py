"""Benchmark the mart: measure time and memory, compare them with bare queries, and estimate reads on BigQuery."""
