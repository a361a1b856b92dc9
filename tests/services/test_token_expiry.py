"""Until when a token counts, to the second, whatever the clock does."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from containers import Container
from domain.errors import NotAuthenticated, RefreshRefused
from settings import Settings
from unitwork.models import SYSTEM, acting_as

PASSWORD = "correct horse battery"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ids of a node of its own: a process's other ids would be of a later time than these tests begin at."""
    return settings.model_copy(update={"node_id": None})


async def test_a_token_counts_until_its_last_second_and_not_after_it(container: Container) -> None:
    auth, settings = container.auth_service(), container.settings().tokens
    with acting_as(SYSTEM), time_machine.travel(NOON, tick=False) as clock:
        await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
        pair = await auth.login("ada@example.com", PASSWORD)
        clock.move_to(NOON + settings.access_lifetime - SECOND)
        assert await auth.authenticate(pair.access)
        clock.move_to(NOON + settings.access_lifetime)
        with pytest.raises(NotAuthenticated):
            await auth.authenticate(pair.access)
        clock.move_to(NOON + settings.refresh_lifetime - SECOND)
        again = await auth.refresh(pair.refresh)
        clock.move_to(NOON + 2 * settings.refresh_lifetime - SECOND)
        with pytest.raises(RefreshRefused):
            await auth.refresh(again.refresh)


async def test_a_used_refresh_token_ends_its_login_even_after_it_has_expired(container: Container) -> None:
    auth, settings = container.auth_service(), container.settings().tokens
    with acting_as(SYSTEM), time_machine.travel(NOON, tick=False) as clock:
        await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
        first = await auth.login("ada@example.com", PASSWORD)
        clock.move_to(NOON + settings.refresh_lifetime - SECOND)
        second = await auth.refresh(first.refresh)
        clock.move_to(NOON + settings.refresh_lifetime + SECOND)
        with pytest.raises(RefreshRefused):
            await auth.refresh(first.refresh)
        with pytest.raises(RefreshRefused):
            await auth.refresh(second.refresh)


async def test_a_clock_that_goes_back_revives_no_revoked_token(container: Container) -> None:
    auth = container.auth_service()
    with acting_as(SYSTEM), time_machine.travel(NOON, tick=False) as clock:
        user = await container.user_service().create({"email": "ada@example.com"}, password=PASSWORD)
        pair, other = [await auth.login("ada@example.com", PASSWORD) for _ in range(2)]
        await auth.revoke(other.access)
        clock.shift(-0.5)
        with pytest.raises(NotAuthenticated):
            await auth.authenticate(other.access)
        assert await auth.authenticate(pair.access)
        await auth.logout_all(user.id)
        for moment in (NOON - timedelta(days=1), NOON + timedelta(days=1)):
            clock.move_to(moment)
            with pytest.raises(NotAuthenticated):
                await auth.authenticate(pair.access)
            with pytest.raises(RefreshRefused):
                await auth.refresh(pair.refresh)
