"""Benchmarks that compare in one process, so that a shared or slow machine moves both sides alike: `python -m bench`."""
