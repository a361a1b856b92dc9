"""Faults are real, and so are commits."""

import pytest


@pytest.fixture
def database_mode() -> str:
    """What is stored is looked at over other connections."""
    return "own"
