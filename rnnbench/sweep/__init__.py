"""Sweeps: what is trained, and the processes that train it."""
