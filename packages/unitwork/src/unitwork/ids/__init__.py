"""Ids that no other process makes."""
