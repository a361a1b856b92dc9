"""Propagation: what entering a transaction means when one is open already."""

from enum import StrEnum


class Propagation(StrEnum):
    REQUIRED = "required"
    """Joins the ambient transaction, or begins one."""
