"""Time that a request for a mail, and a quiet registration, take, whoever they are for: nobody may tell accounts apart
by the clock. Over HTTP, in this process; every kind gets the same answer.

GATEHOUSE_TEST_STORM takes a share of the tries.
"""

import random
import statistics
import time
from typing import Any

import httpx2
import pytest

from containers import Container
from domain import UserStatus
from settings import Settings
from settings.accounts import AccountSettings
from settings.passwords import PasswordSettings
from unitwork.models import SYSTEM, acting_as

TRIES = 200
WITHIN = 0.05
"""The part by which medians may differ; or on a busy machine twice what halves of one kind's own tries differ by."""
PASSWORD = "correct horse battery"
KINDS = ("unknown", "unverified", "verified", "deleted", "suspended", "passwordless")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Hashes that cost what they cost in production, and registration that tells nothing."""
    quiet = AccountSettings(registration_tells=False)
    return settings.model_copy(update={"passwords": PasswordSettings(), "accounts": quiet})


@pytest.mark.timeout(3600)
@pytest.mark.database("own")
@pytest.mark.parametrize("path", ["recover", "verify/request", "register"])
async def test_what_is_asked_of_an_account_takes_the_same_time_whoever_has_it(
    client: httpx2.AsyncClient, container: Container, backend: str, seed: int, share: float, path: str
) -> None:
    users, proofs = container.user_service(), container.address_proofs()
    with acting_as(SYSTEM):
        for kind in KINDS[1:]:
            password = None if kind == "passwordless" else PASSWORD
            user = await users.create({"email": f"{kind}@example.com"}, password=password)
            if kind == "verified":
                await proofs.mark_verified(user.id)
            if kind == "deleted":
                await users.delete(user.id)
            if kind == "suspended":
                await users.update(user.id, {"status": UserStatus.SUSPENDED})
    tries = list(KINDS) * max(5, round(TRIES * share))
    random.Random(seed).shuffle(tries)
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    answers: set[tuple[Any, ...]] = set()
    for number, kind in enumerate(tries):
        address = f"{kind}{number if kind == 'unknown' else ''}@example.com"
        body = {"email": address, "password": PASSWORD} if path == "register" else {"login": address}
        begun = time.perf_counter()
        answer = await client.post(f"/v1/auth/{path}", json=body)
        took[kind].append(time.perf_counter() - begun)
        headers = tuple((name, value) for name, value in sorted(answer.headers.items()) if name != "x-request-id")
        answers.add((answer.status_code, answer.text, headers))
    medians = {kind: statistics.median(seconds) for kind, seconds in took.items()}
    halves = [(statistics.median(seconds[::2]), statistics.median(seconds[1::2])) for seconds in took.values()]
    noise = max(abs(one - other) for one, other in halves) / min(medians.values())
    apart = (max(medians.values()) - min(medians.values())) / min(medians.values())
    told = ", ".join(f"{kind} {median * 1000:.2f} ms" for kind, median in medians.items())
    print(f"\n{path}, {backend}, seed {seed}, {len(tries) // len(KINDS)} tries each, medians: {told}")
    print(f"apart by {apart:.1%}; the halves of one kind by {noise:.1%}")
    assert len(answers) == 1, answers
    assert next(iter(answers))[0] == 202
    assert apart <= max(WITHIN, 2 * noise)
