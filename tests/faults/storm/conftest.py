"""The storm's seed: drawn, or given as GATEHOUSE_TEST_SEED; and how much of it, GATEHOUSE_TEST_STORM (1 is all)."""

import os
import random

import pytest


@pytest.fixture
def seed() -> int:
    """Printed with every figure, to repeat a run with."""
    given = os.environ.get("GATEHOUSE_TEST_SEED")
    return int(given) if given else random.SystemRandom().getrandbits(32)


@pytest.fixture
def share() -> float:
    """The part of each count that is run; a tenth says nearly as much in a tenth of the time."""
    return float(os.environ.get("GATEHOUSE_TEST_STORM", "1"))
