"""Benchmark suites: ratios against a peer in the same run. Each has `rows(cfg) -> list[Row]`."""
