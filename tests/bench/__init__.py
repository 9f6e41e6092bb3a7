"""Benchmarks, apart from the tests: what is measured is printed, never asserted. `python -m tests.bench [name …]`."""
