"""Erasure: what a purge has to reach, so that nothing of a person is left."""
