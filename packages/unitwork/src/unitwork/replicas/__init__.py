"""Replicas: reads on streaming standbys that are never older than what the reader has stored or was told of."""
