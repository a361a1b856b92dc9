"""Export, and import of what was exported."""

import csv
import io
from contextlib import aclosing

from containers import Container, running
from domain import Role, User, UserChanges, UserStatus
from services.csv.columns import HEADER
from services.csv.text import SPREADSHEET_LINE
from services.csv.user_csv_service import BATCH
from settings import Settings
from tests.services.csv_text import CsvText
from unitwork.models import SYSTEM, acting_as

AWKWARD: list[UserChanges] = [
    {"email": "=formula@example.com", "display_name": "=cmd|' /C calc'!A0"},
    {"email": "+plus@example.com", "phone": "+14155550132", "display_name": "+1"},
    {"email": "-dash@example.com", "display_name": "-1"},
    {"email": "'quote@example.com", "display_name": "'quoted'"},
    {"email": "at@example.com", "display_name": "@SUM(A1)"},
    {"email": "twice@example.com", "display_name": "''=two"},
    {"email": "wide@example.com", "display_name": "＝1＋1"},
    {"email": "wider@example.com", "display_name": "＠SUM(A1)"},
    {"email": "small@example.com", "display_name": "﹣1"},
    {"email": "marked@example.com", "display_name": "'＋1"},
    {"email": "apostrophe@example.com", "display_name": "’t Hooft"},
    {"email": "comma@example.com", "display_name": 'a, "b"; c'},
    {"email": "ünï@exämple.com", "display_name": "Žižek 李 🎉\u2028end"},
    {"email": "Case@Example.com", "display_name": "null"},
    {"phone": "+442079460958", "display_name": "only a number"},
    {"email": "admin@example.com", "role": Role.ADMIN},
    {"email": "out@example.com", "status": UserStatus.SUSPENDED, "phone": "+14155550133"},
]


def kept(user: User) -> tuple[object, ...]:
    return (user.email, user.phone, user.display_name, user.role, user.status)


async def exported(container: Container) -> str:
    async with aclosing(container.user_csv_service().export()) as pieces:
        return "".join([piece async for piece in pieces])


async def test_the_round_trip_keeps_every_account(container: Container, other_url: str, settings: Settings) -> None:
    with acting_as(SYSTEM):
        await container.user_dao().add_many([User.create(changes) for changes in AWKWARD])
        gone = await container.user_service().create({"email": "gone@example.com"})
        await container.user_service().delete(gone.id)
    before = await container.user_dao().query().order_by("id").all()
    assert len(before) == len(AWKWARD)
    text = await exported(container)

    other_settings = Settings(database={"url": other_url}, var_dir=settings.var_dir)
    async with running(Container(settings=other_settings)) as other:
        with acting_as(SYSTEM):
            report = await other.user_csv_service().import_file(CsvText(text, piece=13))
        assert (report.imported, report.skipped, report.rejected) == (len(AWKWARD), 0, [])
        after = await other.user_dao().query().order_by("id").all()
        assert list(map(kept, after)) == list(map(kept, before))
        again = await exported(other)
    assert [row[1:6] for row in csv.reader(io.StringIO(again))] == [row[1:6] for row in csv.reader(io.StringIO(text))]


async def test_no_exported_cell_is_run_by_a_spreadsheet(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_dao().add_many([User.create(changes) for changes in AWKWARD])
    rows = list(csv.reader(io.StringIO((await exported(container)).removeprefix(SPREADSHEET_LINE), newline="")))
    assert tuple(rows[0]) == HEADER
    assert len(rows) == len(AWKWARD) + 1
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert rows[1][1] == "'=formula@example.com"


async def test_an_export_of_nothing_is_a_header(container: Container) -> None:
    assert await exported(container) == "sep=,\r\n" + ",".join(HEADER) + "\r\n"


async def test_a_plain_export_begins_with_its_header(container: Container) -> None:
    await many(container, 1)
    async with aclosing(container.user_csv_service().export(plain=True)) as pieces:
        plain = "".join([piece async for piece in pieces])
    assert await exported(container) == SPREADSHEET_LINE + plain
    [record] = csv.DictReader(io.StringIO(plain))
    assert record["email"] == "user0@example.com"


async def many(container: Container, number: int) -> None:
    with acting_as(SYSTEM):
        await container.user_dao().add_many(
            [User.create({"email": f"user{index}@example.com"}) for index in range(number)]
        )


async def test_an_export_comes_in_pieces(container: Container) -> None:
    await many(container, 2 * BATCH + 1)
    async with aclosing(container.user_csv_service().export()) as pieces:
        lines = [piece.count("\r\n") async for piece in pieces]
    assert lines == [2, BATCH, BATCH, 1]


async def test_an_export_holds_no_connection_between_two_pieces(container: Container) -> None:
    await many(container, 2 * BATCH)
    for _ in range(20):  # more than the pool has
        pieces = container.user_csv_service().export()
        assert await anext(pieces)
        assert container.schema().connections_in_use == 0
        assert (await anext(pieces)).count("\r\n") == BATCH
        assert container.schema().connections_in_use == 0, "however long its reader takes"
        await pieces.aclose()
    assert await container.user_dao().count().rows() == 2 * BATCH


async def test_an_export_ends_with_what_was_there_when_it_began(container: Container) -> None:
    await many(container, BATCH)
    async with aclosing(container.user_csv_service().export()) as pieces:
        await anext(pieces)
        with acting_as(SYSTEM):
            await container.user_service().create({"email": "late@example.com"})
        rest = [piece async for piece in pieces]
    assert sum(piece.count("\r\n") for piece in rest) == BATCH
    assert "late@example.com" not in "".join(rest)
