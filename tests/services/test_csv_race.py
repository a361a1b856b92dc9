"""Import while others register: what they take between our look and our write."""

from collections.abc import Iterable
from typing import Any

import pytest

from containers import Container, running
from domain import User
from repositories import UserDao
from services.csv.user_csv_service import BATCH
from settings import Settings
from tests.services.csv_text import CsvText
from unitwork.models import SYSTEM, acting_as


class LooksBeforeTheyRegister(UserDao):
    """The first looks see the accounts as they were before `others` registered."""

    others: frozenset[str] = frozenset()
    stale_looks = 1

    async def with_contacts(self, email_keys: Iterable[str], phones: Iterable[str]) -> list[User]:
        found = await super().with_contacts(email_keys, phones)
        if type(self).stale_looks > 0:
            type(self).stale_looks -= 1
            return [user for user in found if user.email not in self.others]
        return found


def looking_before(*others: str, stale_looks: int = 1) -> type[LooksBeforeTheyRegister]:
    return type("Looks", (LooksBeforeTheyRegister,), {"others": frozenset(others), "stale_looks": stale_looks})


async def test_who_registers_between_look_and_write_is_skipped_and_the_rest_is_imported(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "quick@example.com", "phone": "+14155550132"})
        dao = looking_before("quick@example.com")(container.session_provider())
        with container.user_dao.override(dao):
            report = await container.user_csv_service().import_file(
                CsvText("email,phone\na@example.com,\nQuick@example.com,\nb@example.com,\nc@example.com,+14155550132\n")
            )
    assert (report.rows, report.imported, report.skipped) == (4, 2, 1)
    assert [(rejection.line, rejection.reason.partition(":")[0]) for rejection in report.rejected] == [(5, "phone")]
    emails = await container.user_dao().query().order_by("email").scalars("email")
    assert emails == ["a@example.com", "b@example.com", "quick@example.com"]


async def test_who_keeps_being_quicker_is_reported(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "quick@example.com"})
        dao = looking_before("quick@example.com", stale_looks=9)(container.session_provider())
        with container.user_dao.override(dao):
            report = await container.user_csv_service().import_file(
                CsvText("email\nquick@example.com\na@example.com\n")
            )
    assert (report.rows, report.imported, report.skipped) == (2, 1, 0)
    assert [rejection.line for rejection in report.rejected] == [2]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.database("own")
async def test_a_real_registration_between_look_and_write_loses_nothing(
    container: Container, settings: Settings
) -> None:
    async with running(Container(settings=settings)) as elsewhere:

        class Interrupted(UserDao):
            done = False

            async def with_contacts(self, email_keys: Iterable[str], phones: Iterable[str]) -> list[User]:
                found = await super().with_contacts(email_keys, phones)
                if not Interrupted.done:
                    Interrupted.done = True
                    await elsewhere.user_service().create({"email": "user7@example.com"})
                return found

        with acting_as(SYSTEM), container.user_dao.override(Interrupted(container.session_provider())):
            text = "email\n" + "".join(f"user{number}@example.com\n" for number in range(20))
            report = await container.user_csv_service().import_file(CsvText(text))
    assert (report.rows, report.imported, report.skipped, report.rejected) == (20, 19, 1, [])
    assert await container.user_dao().count().rows() == 20


async def test_a_batch_that_fails_leaves_nothing_of_itself(container: Container) -> None:
    """A row that only the database refuses takes its batch with it, and the batches before stay."""

    class Broken(UserDao):
        async def add_many(self, rows: Any) -> Any:
            await super().add_many(rows)
            if await self.count().rows() > BATCH:
                msg = "broken after the flush"
                raise RuntimeError(msg)
            return []

    text = "email\n" + "".join(f"user{number}@example.com\n" for number in range(BATCH + 10))
    with (
        acting_as(SYSTEM),
        container.user_dao.override(Broken(container.session_provider())),
        pytest.raises(RuntimeError, match="broken after the flush"),
    ):
        await container.user_csv_service().import_file(CsvText(text))
    assert await container.user_dao().count().rows() == BATCH
