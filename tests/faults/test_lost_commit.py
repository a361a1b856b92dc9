"""The answer to COMMIT is lost: nobody is told a lie, and nothing is stored twice. 200 of each are in `make storm`."""

import pytest

from domain import OutboxMessage
from settings import Settings
from tests.faults.ledger import Entry
from tests.faults.lost_commit import ATTEMPTS, behind_a_relay, lose_commits
from tests.faults.relay import Moment
from unitwork.errors import CommitOutcomeUnknown
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

COUNT = 20
every_moment = pytest.mark.parametrize("moment", Moment)
every_shape = pytest.mark.parametrize("mapped", [False, True], ids=["statements", "mapped"])


@every_moment
@every_shape
async def test_a_unit_is_never_told_what_is_not_stored(settings: Settings, moment: Moment, *, mapped: bool) -> None:
    verdicts, wrong = await lose_commits(settings, moment, COUNT, mapped=mapped, retry=None)
    print(f"{moment.name}: {verdicts}")
    assert not wrong, "\n".join(wrong)
    assert not verdicts.failed, "a lost answer is no plain failure"
    if moment is Moment.BEFORE:
        assert not verdicts.committed, "the server never saw the COMMIT"
    assert verdicts.attempts.total() == verdicts.cuts == COUNT


@every_moment
@every_shape
async def test_with_retry_no_verdict_is_wrong_and_nothing_is_stored_twice(
    settings: Settings, moment: Moment, *, mapped: bool
) -> None:
    verdicts, wrong = await lose_commits(settings, moment, COUNT, mapped=mapped, retry=ATTEMPTS)
    print(f"{moment.name}: {verdicts}")
    assert not wrong, "\n".join(wrong)
    assert not verdicts.failed
    assert verdicts.cuts == COUNT
    if mapped:
        assert not verdicts.unknown, "the transaction's id came with its keys, and tells"
    elif moment is Moment.AFTER:
        assert verdicts.attempts.total() == COUNT, "what may be stored is never done again"


async def test_an_undisturbed_unit_costs_no_trip_for_being_told_apart(settings: Settings) -> None:
    async with behind_a_relay(settings) as (container, relay):

        async def trips() -> int:
            before = relay.round_trips
            async with container.transaction()() as transaction:
                transaction.session.add(Entry("told apart", 1))
            return relay.round_trips - before

        await trips()
        assert await trips() == 3, "BEGIN, INSERT … RETURNING, COMMIT"


async def test_a_lone_write_whose_answer_is_lost_is_unknown_too(settings: Settings) -> None:
    """It commits by itself, so its answer is that of a COMMIT."""
    async with behind_a_relay(settings) as (container, relay):
        with acting_as(SYSTEM):
            message = await container.outbox_dao().add(OutboxMessage.create("lone", {}))
            rename = container.outbox_dao().update().eq("id", message.id).set(topic="Renamed")
            relay.cut_at(b"Renamed", Moment.AFTER)
            with pytest.raises(CommitOutcomeUnknown):
                await rename.execute()
            assert await rename.execute() == 1
