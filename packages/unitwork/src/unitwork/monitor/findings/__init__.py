"""Findings: what is wrong, and the line it comes from."""
