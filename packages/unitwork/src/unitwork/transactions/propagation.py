"""Propagation: the effect of entering a transaction block, inside and outside an ambient transaction."""

from enum import StrEnum


class Propagation(StrEnum):
    REQUIRED = "required"
    """Joins the ambient transaction, or begins one."""
    REQUIRES_NEW = "requires_new"
    """Begins one on its own connection, independent of the ambient one."""
    NESTED = "nested"
    """Sets a savepoint in the ambient transaction, or begins one."""
    MANDATORY = "mandatory"
    """Joins the ambient transaction, or raises `NoActiveTransaction`."""
    SUPPORTS = "supports"
    """Joins the ambient transaction, or runs without one."""
    NOT_SUPPORTED = "not_supported"
    """Runs without one, on its own connection; hides the ambient one for the whole block."""
    NEVER = "never"
    """Runs without one, or raises `TransactionNotAllowed` inside one."""
