"""How long a login that is refused takes, whoever it was for: nobody may tell accounts apart by the clock.

GATEHOUSE_TEST_STORM takes a share of the tries.
"""

import random
import statistics
import time

import pytest

from containers import Container
from domain import UserStatus
from domain.errors import LoginRefused
from settings import Settings
from settings.passwords import PasswordSettings
from unitwork.models import SYSTEM, acting_as

TRIES = 200
WITHIN = 0.25
"""The part of a refusal by which the medians may differ: what a machine with other work makes of equal work. A refusal
without its hash would be a fiftieth of the others.
"""
PASSWORD = "correct horse battery"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Hashes that cost what they cost in production."""
    return settings.model_copy(update={"passwords": PasswordSettings()})


@pytest.mark.timeout(3600)
@pytest.mark.database("own")
async def test_a_refused_login_takes_the_same_time_whoever_it_was_for(
    container: Container, backend: str, seed: int, share: float
) -> None:
    users, auth = container.user_service(), container.auth_service()
    with acting_as(SYSTEM):
        for name in ("wrong", "deleted", "suspended"):
            user = await users.create({"email": f"{name}@example.com"}, password=PASSWORD)
            if name == "deleted":
                await users.delete(user.id)
            if name == "suspended":
                await users.update(user.id, {"status": UserStatus.SUSPENDED})
        await users.create({"email": "passwordless@example.com"})
    kinds = ("unknown", "wrong", "deleted", "suspended", "passwordless")
    tries = list(kinds) * round(TRIES * share)
    random.Random(seed).shuffle(tries)
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind in tries:
        begun = time.perf_counter()
        with pytest.raises(LoginRefused):
            await auth.login(f"{kind}@example.com", "wrong password" if kind == "wrong" else PASSWORD)
        took[kind].append(time.perf_counter() - begun)
    medians = {kind: statistics.median(seconds) for kind, seconds in took.items()}
    told = ", ".join(f"{kind} {median * 1000:.1f} ms" for kind, median in medians.items())
    print(f"\n{backend}, seed {seed}, {len(tries) // len(kinds)} tries each, medians: {told}")
    assert max(medians.values()) - min(medians.values()) <= WITHIN * min(medians.values())
