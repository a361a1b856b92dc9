"""Bulk inserts, each way a program of its own: `python -m benchmarks.bulk.WAY URL ROWS` prints seconds and kilobytes.

They import nothing of each other, as a peer's environment lacks the others.
"""
