"""Builders: immutable objects that compose a statement step by step."""
