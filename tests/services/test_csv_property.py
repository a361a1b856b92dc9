"""Whatever an account holds, an export and an import of it keep."""

import random
from contextlib import aclosing

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from containers import Container
from domain import Role, User, UserChanges, UserStatus
from domain.errors import Unacceptable
from services.csv.delimiter import Delimiter
from services.csv.encoding import DecodedText
from services.csv.reader import TextFile
from tests.fakes import over_fakes
from tests.services.csv_text import CsvText
from tests.services.test_csv_dialects import CsvBytes
from tests.services.test_csv_round_trip import kept
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider

SEED = 20_260_101
HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from("=+-@'\",;|\t\r\n\\{} #\u00a0\u2028\u2029\ufeff\u202e\x85\0%_"),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)
LOCAL = st.text(alphabet="abz019.=+-'_{}!#$%&*/?^`|~é李", min_size=1, max_size=20)


@st.composite
def accounts(draw: st.DrawFn) -> UserChanges:
    changes: UserChanges = {
        "email": draw(LOCAL) + draw(st.sampled_from(["@example.com", "@Exämple.com", "@EXAMPLE.org"])),
        "display_name": draw(HOSTILE),
        "role": draw(st.sampled_from(Role)),
        "status": draw(st.sampled_from(UserStatus)),
    }
    if draw(st.booleans()):
        changes["phone"] = f"+1415555{draw(st.integers(0, 9999)):04}"
    if draw(st.booleans()):
        changes["email"] = None if "phone" in changes else changes["email"]
    return changes


def acceptable(drawn: list[UserChanges]) -> list[User]:
    """Those that an account may hold, each contact once."""
    users: list[User] = []
    taken: set[str] = set()
    for changes in drawn:
        try:
            user = User.create(changes)
        except Unacceptable:
            continue
        contacts = {contact for contact in (user.email_key, user.phone) if contact is not None}
        if not contacts & taken:
            taken |= contacts
            users.append(user)
    return users


async def text_of(container: Container) -> str:
    async with aclosing(container.user_csv_service().export()) as pieces:
        return "".join([piece async for piece in pieces])


async def imported(container: Container, file: TextFile) -> list[tuple[object, ...]]:
    with acting_as(SYSTEM):
        report = await container.user_csv_service().import_file(file)
    assert report.rejected == []
    return [kept(user) for user in await container.user_dao().query().order_by("id").all()]


@seed(SEED)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(accounts(), max_size=12))
async def test_the_round_trip_keeps_hostile_text_over_fakes(drawn: list[UserChanges]) -> None:
    container, _ = over_fakes(FakeSessionProvider())
    users = acceptable(drawn)
    with acting_as(SYSTEM):
        await container.user_dao().add_many(users)
    before = [kept(user) for user in await container.user_dao().query().order_by("id").all()]
    text = await text_of(container)
    again, _ = over_fakes(FakeSessionProvider())
    assert await imported(again, CsvText(text, piece=7)) == before
    utf_16, _ = over_fakes(FakeSessionProvider())
    assert await imported(utf_16, DecodedText(CsvBytes(text.encode("utf-16"), piece=5), max_bytes=1 << 20)) == before


async def test_the_round_trip_keeps_hostile_text_on_a_real_database(container: Container) -> None:
    """One file of many drawn accounts, exported, purged and imported again in the same database."""
    print("seed", SEED)
    drawn: list[UserChanges] = []

    @seed(SEED)
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(one=accounts())
    def draw(one: UserChanges) -> None:
        drawn.append(one)

    draw()
    random.Random(SEED).shuffle(drawn)
    users = acceptable(drawn)
    assert len(users) > 20
    with acting_as(SYSTEM):
        await container.user_dao().add_many(users)
        before = [kept(user) for user in await container.user_dao().query().order_by("id").all()]
        text = await text_of(container)
        for user in users:
            await container.user_dao().purge(user.id)
    assert await imported(container, CsvText(text, piece=11)) == before
    for delimiter in (Delimiter.COMMA, None):
        with acting_as(SYSTEM):
            report = await container.user_csv_service().import_file(CsvText(text), delimiter=delimiter)
        assert (report.skipped, report.rejected) == (len(users), [])
