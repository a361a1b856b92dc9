"""Builders: a statement said step by step."""
