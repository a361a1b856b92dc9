"""Isolation: one database transaction around a whole test."""
