"""Erasure: deletes every trace of a purged account's person, in rows, files and counters."""
