"""Connections: opened, pooled, interrupted, closed."""
