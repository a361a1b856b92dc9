"""`gatehouse users`."""

import asyncio
import json
from pathlib import Path

import pytest

from containers import Container, running
from domain import User
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from tests.fakes import over_fakes
from unitwork.models import SYSTEM
from unitwork.testing.fakes import FakeSessionProvider


def stored(settings: Settings) -> list[User]:
    async def read() -> list[User]:
        async with running(Container(settings=settings)) as container:
            return await container.user_dao().query(include_deleted=True).order_by("id").all()

    return asyncio.run(read())


def test_create_prints_the_account_as_http_answers_it(gatehouse: Gatehouse, settings: Settings) -> None:
    body = gatehouse(
        "users", "create", "--email", "Ada@example.com", "--phone", "020 7946 0958", "--region", "gb",
        "--display-name", "Ada [bold]", "--role", "admin", "--json",
    ).json()  # fmt: skip
    assert (body["email"], body["phone"], body["role"]) == ("Ada@example.com", "+442079460958", "admin")
    assert isinstance(body["id"], str)
    assert body["created_by"] == str(SYSTEM)
    assert body["created_at"].endswith("Z")
    assert "password_hash" not in body
    assert [str(user.id) for user in stored(settings)] == [body["id"]]


def test_show_finds_by_id_address_and_number(gatehouse: Gatehouse) -> None:
    made = gatehouse("users", "create", "--email", "ada@example.com", "--phone", "+14155550132", "--json").json()
    for name in (made["id"], "ADA@example.com", "+14155550132"):
        assert gatehouse("users", "show", name, "--json").json() == made
    shown = gatehouse("users", "show", made["id"])
    assert "email\tada@example.com\n" in shown.out
    gatehouse("users", "show", "nobody@example.com").assert_error(
        1, "no account has this e-mail address or phone number"
    )


def test_a_password_is_read_from_stdin_and_shown_nowhere(gatehouse: Gatehouse, settings: Settings) -> None:
    done = gatehouse("users", "create", "--email", "a@example.com", "--password", stdin="canary canary\n")
    assert done.code == 0
    assert "canary" not in done.out + done.err
    [user] = stored(settings)
    assert (user.password_hash or "").startswith("$argon2id$")
    gatehouse("users", "create", "--email", "b@example.com", "--password", stdin="short\n").assert_error(
        1, "password: "
    )
    gatehouse("users", "create", "--email", "b@example.com", "--password", "canary canary").assert_error(2, "Error: ")
    assert len(stored(settings)) == 1


def test_list_pages_filters_and_sorts(gatehouse: Gatehouse) -> None:
    for name in ("ada", "alan", "barbara"):
        gatehouse("users", "create", "--email", f"{name}@example.com", "--display-name", name)
    first = gatehouse("users", "list", "--sort", "email", "--limit", "2", "--json").json()
    assert [item["email"] for item in first["items"]] == ["ada@example.com", "alan@example.com"]
    assert first["has_more"] is True
    rest = gatehouse("users", "list", "--sort", "email", "--cursor", first["next_cursor"], "--json").json()
    assert [item["email"] for item in rest["items"]] == ["barbara@example.com"]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    assert len(gatehouse("users", "list", "--name", "a", "--status", "active", "--json").json()["items"]) == 3
    assert gatehouse("users", "list", "--name", "%", "--json").json()["items"] == []

    table = gatehouse("users", "list", "--sort", "email", "--limit", "2")
    lines = table.out.splitlines()
    assert lines[0].split("\t")[:2] == ["id", "email"]
    assert len(lines) == 3
    assert "more: --cursor " in table.err


def test_errors_are_one_line(gatehouse: Gatehouse) -> None:
    gatehouse("users", "create", "--email", "ada@example.com", "--phone", "+14155550132")
    for arguments, code, words in [
        (["list", "--sort", "emial"], 1, "Did you mean 'email'?"),
        (["list", "--sort", "password_hash"], 1, "has no column 'password_hash'"),
        (["list", "--cursor", "x"], 1, "not a cursor"),
        (["list", "--limit", "0"], 2, "--limit"),
        (["list", "--status", "gone"], 2, "--status"),
        (["create"], 1, "needs an e-mail address or a phone number"),
        (["create", "--email", "ADA@example.com"], 1, "another account has this email"),
        (["create", "--phone", "+1 415 555 0132"], 1, "another account has this phone"),
        (["create", "--email", "canary"], 1, "is not an e-mail address"),
        (["create", "--phone", "5"], 1, "phone: "),
        (["create", "--email", "b@example.com", "--region", "XX"], 2, "--region"),
        (["create", "--email", "b@example.com", "--role", "boss"], 2, "--role"),
        (["show", "\udcff"], 2, "not UTF-8"),
        (["show"], 2, "Error"),
        (["nonsense"], 2, "No such command"),
        (["import", "nowhere.csv"], 1, "nowhere.csv: no such file or directory"),
        (["import", "."], 1, "is a directory"),
    ]:
        gatehouse("users", *arguments).assert_error(code, words)
    assert len(gatehouse("users", "list", "--json").json()["items"]) == 1


def test_import_reports_each_rejected_row(gatehouse: Gatehouse, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(
        b"\xef\xbb\xbffirst,mail,tel\r\nAda,ada@example.com,415-555-0132\r\n\r\nAlan,canary,\r\nAda,ADA@example.com,\r\n"
    )
    columns = ["--column", "email=mail", "--column", "phone=tel", "--column", "display_name=Dr {first}"]
    done = gatehouse("users", "import", str(file), *columns, "--region", "US", "--json")
    assert done.code == 3
    report = json.loads(done.out)
    [rejection] = report.pop("rejected")
    assert (rejection["line"], rejection["reason"].partition(": ")[0]) == (4, "email")
    assert report == {
        "rows": 3,
        "imported": 1,
        "skipped": 1,
        "dropped": [],
        "columns": {"email": "mail", "phone": "tel", "display_name": "Dr {first}"},
        "unused_columns": [],
    }
    ada = gatehouse("users", "show", "+14155550132", "--json").json()
    assert ada["display_name"] == "Dr Ada"

    table = gatehouse("users", "import", str(file), *columns)
    assert table.code == 3
    assert table.out.splitlines() == ["rows\timported\tskipped\trejected", "3\t0\t1\t2"]
    assert [line.partition(": ")[0] for line in table.err.splitlines()] == ["line 2", "line 4", "columns used"]
    # line 2: no country code


def test_an_import_that_cannot_begin_says_why(gatehouse: Gatehouse, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nada@example.com\n")
    for options, code, words in [
        (["--column", "emial=email"], 1, "Did you mean 'email'?"),
        (["--column", "email=emial"], 1, "Did you mean 'email'?"),
        (["--column", "email={email"], 1, "template of 'email'"),
        (["--column", "email={email!r}"], 1, "conversion or a format"),
        (["--column", "email=email", "--column", "email=email"], 2, "more than one column"),
        (["--delimiter", ";"], 2, "--delimiter"),
        (["--start-line", "0"], 2, "--start-line"),
        (["--column", "email"], 2, "is not FIELD=COLUMN"),
        (["--column", "email="], 2, "is not FIELD=COLUMN"),
        (["--column", "=email"], 1, "no field ''"),
    ]:
        gatehouse("users", "import", str(file), *options).assert_error(code, words)
    for content, words in [
        (b"", "the file is empty"),
        (b"email\n" + b"ada@example.com\n" * 400 + b"ada@\xff.com\n", "line 402: not UTF-8"),
        ("email\nada@example.com\n".encode("utf-16-le"), "line 1: holds NUL"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml", "an Excel workbook (.xlsx), not CSV"),
        (b'email\n"ada@example.com\n', "line 2: "),
        (b"name\nAda\n", "--column email=COLUMN"),
    ]:
        file.write_bytes(content)
        gatehouse("users", "import", str(file)).assert_error(1, words)
    assert gatehouse("users", "list", "--json").json()["items"] == []


def test_a_file_that_breaks_half_way_prints_what_was_done_and_where_to_go_on(
    gatehouse: Gatehouse, tmp_path: Path
) -> None:
    file, report = tmp_path / "people.csv", tmp_path / "report.csv"
    rows = b"".join(b"user%d@example.com\n" % number for number in range(503))
    file.write_bytes(b"email\n" + rows + b"\xff\n")
    done = gatehouse("users", "import", str(file), "--json", "--report", str(report))
    assert done.code == 1
    told = json.loads(done.out)
    assert (told["rows"], told["imported"], told["skipped"], told["rejected"]) == (500, 500, 0, [])
    assert told["next_line"] == 502
    stopped, error = done.err.splitlines()
    assert stopped == "stopped: 500 rows are settled; go on with --start-line 502"
    assert error.startswith("error: line 505: not UTF-8 from here on; name the file's encoding with --encoding")
    assert report.stat().st_mode & 0o777 == 0o600
    lines = report.read_text().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (501, "line,outcome,reason", "501,imported,")

    file.write_bytes(b"email\n" + rows)
    gatehouse("users", "import", str(file), "--report", str(report)).assert_error(1, "file exists")
    rest = gatehouse("users", "import", str(file), "--start-line", "502", "--json").json()
    assert (rest["rows"], rest["imported"]) == (3, 3)


def test_a_dry_run_stores_nothing(gatehouse: Gatehouse, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email;display_name\nada@example.com;Ada\nnonsense;x\n")
    done = gatehouse("users", "import", str(file), "--dry-run", "--json")
    assert done.code == 3
    assert json.loads(done.out)["imported"] == 1
    assert stored(settings) == []


def test_delete_restore_and_purge(gatehouse: Gatehouse, settings: Settings) -> None:
    made = gatehouse("users", "create", "--email", "ada@example.com", "--phone", "+14155550132", "--json").json()
    gatehouse("tokens", "issue", "ada@example.com")
    assert gatehouse("users", "delete", "ada@example.com", "--json").json()["deleted_at"]
    gatehouse("users", "show", "ada@example.com").assert_error(1, "no account has this")
    assert gatehouse("users", "show", "ada@example.com", "--include-deleted", "--json").json()["id"] == made["id"]
    gatehouse("users", "delete", "ada@example.com").assert_error(1, "no account has this")
    assert gatehouse("users", "restore", "+14155550132", "--json").json()["deleted_at"] is None
    assert gatehouse("users", "restore", made["id"]).code == 0
    assert gatehouse("users", "delete", made["id"]).code == 0
    assert gatehouse("users", "purge", "ada@example.com", "--json").json() == {"purged": made["id"]}
    assert stored(settings) == []
    gatehouse("users", "purge", made["id"]).assert_error(1, "there is no user with id")


def test_export_writes_a_file_for_its_owner_alone_and_never_over_another(gatehouse: Gatehouse, tmp_path: Path) -> None:
    gatehouse("users", "create", "--email", "ada@example.com", "--display-name", "=1+1")
    output = tmp_path / "people.csv"
    done = gatehouse("users", "export", "--output", str(output))
    assert (done.code, done.out) == (0, "")
    assert "1 accounts written to" in done.err
    assert output.stat().st_mode & 0o777 == 0o600
    assert ",ada@example.com,,'=1+1,user,active," in output.read_text()
    to_stdout = gatehouse("users", "export")
    assert to_stdout.out.encode() == output.read_bytes()

    before = output.read_bytes()
    told = gatehouse("users", "export", "--output", str(tmp_path / "more.csv"), "--json").json()
    assert told == {"output": str(tmp_path / "more.csv"), "accounts": 1}
    gatehouse("users", "export", "--json").assert_error(2, "--json needs --output")
    gatehouse("users", "export", "--output", str(output)).assert_error(1, "file exists")
    assert output.read_bytes() == before
    gatehouse("users", "export", "--output", str(tmp_path / "no" / "p.csv")).assert_error(1, "no such file")


def test_an_export_that_fails_leaves_no_file(shell: Gatehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    output = tmp_path / "people.csv"
    shell("users", "export", "--output", str(output)).assert_error(1, "can't be reached")
    assert not output.exists()


def test_commands_take_a_container_with_overrides_and_need_no_database(shell: Gatehouse) -> None:
    sessions = FakeSessionProvider()

    def overridden() -> Container:
        return over_fakes(sessions)[0]

    made = shell("users", "create", "--email", "ada@example.com", "--json", container=overridden()).json()
    assert shell("users", "show", made["id"], "--json", container=overridden()).json() == made
    shell("users", "create", "--email", "ADA@example.com", container=overridden()).assert_error(1, "has this email")
    assert sessions.outcomes == ("committed", "rolled back")
    assert [user.email for user in sessions.committed(User)] == ["ada@example.com"]
