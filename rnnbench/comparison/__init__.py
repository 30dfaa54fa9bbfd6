"""Comparing runs: which of them differ only in their seed, and whether a difference is real."""
