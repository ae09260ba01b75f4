"""Tests for the benchmarks: the parts that measure nothing."""
