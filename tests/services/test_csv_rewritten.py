"""An export that a spreadsheet has rewritten: ten thousand drawn accounts come back as they were."""

import codecs
import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from containers import Container
from domain import Role, User, UserChanges, UserStatus
from domain.errors import Unacceptable
from services.csv.columns import HEADER, CsvColumns
from services.csv.encoding import DecodedText
from services.csv.reader import records
from services.csv.text import SPREADSHEET_LINE
from services.csv.user_import import COLUMNS
from tests.conftest import FIGURE
from tests.services.test_csv_dialects import CsvBytes
from tests.services.test_csv_property import text_of
from tests.services.test_csv_round_trip import kept
from unitwork.models import SYSTEM, acting_as

SEED: Final = 20_261_130
ACCOUNTS: Final = 10_000
SCRIPTS: Final = (
    "abcXYZ", "éßøčőñ", "αβγΩ", "жёЯї", "אבגש", "ابتةی", "कखगज्ञ", "অআক", "தமிழ்", "ไทยน้ำ", "ខ្មែរ", "한글각", "漢字李",
    "ひらがな", "カタカナｶﾞ", "ქართ", "հայ", "አማርኛ", "ᏣᎳᎩ", "𐐷𐐨𠮷", "👩‍👩‍👧🎉🇩🇪", "e\u0301n\u0303",
)  # fmt: skip
HOSTILE: Final = "=+-@'\"＝＋－＠﹣＇,;:|\t\r\n\\{}[]<> #%_’\u00a0\u2028\u2029\ufeff\u200b\u202e\x85\0"
DOMAINS: Final = ("example.com", "EXAMPLE.org", "exämple.com", "пример.рф", "例え.jp", "उदाहरण.भारत", "παράδειγμα.gr")
LOCAL: Final = "abz019.=+-'_{}!#$%&*/?^`|~"


@st.composite
def names(draw: st.DrawFn) -> str:
    """One script's letters among what breaks readers, or any characters at all."""
    letters = st.sampled_from(draw(st.sampled_from(SCRIPTS)))
    return draw(st.text(st.one_of(letters, st.sampled_from(HOSTILE), st.characters(codec="utf-8")), max_size=12))


@st.composite
def locals_of_addresses(draw: st.DrawFn) -> str:
    letters = draw(st.sampled_from(SCRIPTS))
    return draw(st.text(st.one_of(st.sampled_from(LOCAL), st.sampled_from(letters)), min_size=1, max_size=9))


def drawn(strategy: st.SearchStrategy[str], number: int) -> list[str]:
    """So many texts, the same each time."""
    texts: list[str] = []

    @seed(SEED)
    @settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(text=strategy)
    def draw(text: str) -> None:
        texts.append(text)

    draw()
    return texts


def acceptable(changes: UserChanges) -> User | None:
    try:
        return User.create(changes)
    except Unacceptable:
        return None


@cache
def accounts(number: int) -> list[dict[str, Any]]:
    """The columns of accounts of drawn pieces."""
    chance = random.Random(SEED)
    pieces = [text for text in drawn(names(), 400) if acceptable({"phone": "+14155550132", "display_name": text})]
    begins = [text for text in drawn(locals_of_addresses(), 400) if acceptable({"email": f"{text}1@example.com"})]
    assert min(len(pieces), len(begins)) > 50
    users: dict[str, dict[str, Any]] = {}
    for index in range(2 * number):
        changes: UserChanges = {
            "email": f"{chance.choice(begins)}{index}@{chance.choice(DOMAINS)}",
            "role": chance.choice(list(Role)),
            "status": chance.choice(list(UserStatus)),
        }
        if chance.random() < 0.9:
            changes["display_name"] = "".join(chance.choices(pieces, k=chance.choice((1, 1, 2, 3))))
        if chance.random() < 0.4:
            changes["phone"] = f"+1415{index + 2_000_000:07}"
            if chance.random() < 0.3:
                changes["email"] = None
        if (user := acceptable(changes)) is not None:
            users.setdefault(user.email_key or str(user.phone), {name: getattr(user, name) for name in COLUMNS})
        if len(users) == number:
            return list(users.values())
    raise AssertionError("too few of the drawn accounts are acceptable")


@dataclass(frozen=True)
class Spreadsheet:
    """How a program writes a table that it has opened: its delimiter, line ends, quotes, bytes, and what its user has
    done to the columns.
    """

    delimiter: str
    ending: str
    encode: Callable[[str], bytes]
    quoting: int = csv.QUOTE_MINIMAL
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    knows_the_line: bool = True

    def saved(self, rows: list[list[str]], chance: random.Random) -> bytes:
        """The table with its columns moved; those that are added have cells that look like marked ones."""
        order: list[int | str] = [index for index, name in enumerate(HEADER) if name not in self.dropped]
        order += self.added
        chance.shuffle(order)
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.ending)  # type: ignore[arg-type]
        if not self.knows_the_line:
            writer.writerow(["sep=", *[""] * (len(order) - 1)])
        for number, row in enumerate(rows):
            writer.writerow(
                [row[column] if isinstance(column, int) else column if number == 0 else "'=x" for column in order]
            )
        return self.encode(text.getvalue())


SPREADSHEETS: Final = {
    "Excel in Germany": Spreadsheet(";", "\r\n", lambda text: codecs.BOM_UTF8 + text.encode()),
    "Excel's Unicode text": Spreadsheet("\t", "\r\n", lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le")),
    "LibreOffice": Spreadsheet(",", "\n", str.encode, csv.QUOTE_ALL, dropped=("id", "created_at")),
    "one that keeps the first line": Spreadsheet(
        ",", "\r\n", str.encode, added=("notes", "", "Mobile"), knows_the_line=False
    ),
    "one on an old machine": Spreadsheet(
        ";", "\r", lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), dropped=("created_at",), added=("mail",)
    ),
}


async def changes_in(content: bytes) -> list[UserChanges]:
    """What the file says of each account, before any rule."""
    mapping: CsvColumns | None = None
    found = []
    async for line, cells in records(DecodedText(CsvBytes(content), max_bytes=1 << 30)):
        if mapping is None:
            mapping = CsvColumns.map(cells, {}, line=line)
        else:
            found.append(mapping.changes(cells))
    return found


def said_of(user: User) -> UserChanges:
    fields = {field: getattr(user, field) for field in ("email", "phone", "display_name", "role", "status")}
    return {field: value for field, value in fields.items() if value is not None}  # type: ignore[return-value]


@pytest.mark.timeout(400)
async def test_ten_thousand_accounts_come_back_from_every_spreadsheet_as_they_were(
    container: Container, backend: str, record_property: Callable[[str, object], None]
) -> None:
    """Every account is read back from each, and stored anew from one of them, in the same database."""
    print("seed", SEED)
    number = ACCOUNTS // 5 if backend == "mariadb" else ACCOUNTS
    users = [User(**columns) for columns in accounts(ACCOUNTS)[:number]]
    assert sum(not str(user.email).isascii() for user in users) > number / 10
    assert sum(str(user.display_name).startswith(tuple("=+-@'＝＋－＠")) for user in users) > number / 50
    chance = random.Random(SEED)
    with acting_as(SYSTEM):
        await container.user_dao().add_many(users)
        before = await container.user_dao().query().order_by("id").all()
        text = await text_of(container)
        await container.user_dao().delete().all_rows().execute()
    header, *rows = csv.reader(io.StringIO(text.removeprefix(SPREADSHEET_LINE), newline=""))
    assert len(rows) == number
    said = [said_of(user) for user in before]
    for name, spreadsheet in SPREADSHEETS.items():
        assert await changes_in(spreadsheet.saved([header, *rows], chance)) == said, name

    share = number // len(SPREADSHEETS)
    for index, spreadsheet in enumerate(SPREADSHEETS.values()):
        content = spreadsheet.saved([header, *rows[index * share : (index + 1) * share]], chance)
        with acting_as(SYSTEM):
            report = await container.user_csv_service().import_file(DecodedText(CsvBytes(content), max_bytes=1 << 30))
        assert (report.imported, report.skipped, report.rejected) == (share, 0, [])
    after = await container.user_dao().query().order_by("id").all()
    assert [kept(user) for user in after] == [kept(user) for user in before]
    record_property(FIGURE, f"round trip on {backend}: {len(after)} accounts of {number} as they were")


@pytest.mark.parametrize("dropped", [(), *((name,) for name in HEADER if name != "email")], ids=str)
async def test_whichever_column_is_dropped_the_others_are_read_as_they_were_written(dropped: tuple[str, ...]) -> None:
    row = ["1", "'=a@example.com", "'+14155550132", "''tis", "admin", "suspended", "2026-01-01T00:00:00+00:00"]
    kept_ones = [index for index, name in enumerate(HEADER) if name not in dropped]
    line = ",".join(HEADER[index] for index in kept_ones) + "\n" + ",".join(row[index] for index in kept_ones) + "\n"
    whole = {"email": "=a@example.com", "phone": "+14155550132", "display_name": "'tis", "role": "admin",
             "status": "suspended"}  # fmt: skip
    assert await changes_in(line.encode()) == [{name: value for name, value in whole.items() if name not in dropped}]


async def test_what_others_have_marked_stays_under_names_of_their_own() -> None:
    content = b"Mail,Name\nx@example.com,'=1\n"
    assert await changes_in(content) == [{"email": "x@example.com", "display_name": "'=1"}]


async def test_a_mark_that_a_spreadsheet_has_taken_off_is_not_missed() -> None:
    content = b"email,display_name\nx@example.com,=1\ny@example.com,'tis\n"
    assert [changes["display_name"] for changes in await changes_in(content)] == ["=1", "'tis"]


@pytest.mark.parametrize(
    "header",
    [
        "id,email,name,role,status,created_at",
        "email,Role,Status",
        "email,role",
        "ID,EMAIL,PHONE,DISPLAY_NAME,ROLE,STATUS",
    ],
)
async def test_nobody_becomes_an_admin_by_another_program_s_column(header: str) -> None:
    cells = ",".join(
        {"email": "x@example.com", "role": "admin", "status": "suspended"}.get(name.lower(), "")
        for name in header.split(",")
    )
    [changes] = await changes_in(f"{header}\n{cells}\n".encode())
    assert changes == {"email": "x@example.com"}
