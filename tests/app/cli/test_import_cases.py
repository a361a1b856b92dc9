"""`gatehouse users import` of files as other programs write them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.cli.conftest import Gatehouse
from tests.app.import_cases import CASES, FOLDER, REFUSED, Case, assert_report, case_of, edited, without
from tests.conftest import ROOT


def accounts(gatehouse: Gatehouse) -> list[tuple[str, str | None, str | None]]:
    items = gatehouse("users", "list", "--sort", "id", "--json").json()["items"]
    return [(item["email"], item["phone"], item["display_name"]) for item in items]


def test_each_file_becomes_the_accounts_its_sender_means(gatehouse: Gatehouse) -> None:
    stored: set[tuple[str, str | None, str | None]] = set()
    for case in CASES:
        done = gatehouse("users", "import", str(FOLDER / case.file), *case.options, "--json")
        assert done.code == (3 if case.rejected else 0), (case.file, done.err)
        report = json.loads(done.out)
        skipped = [account for account in case.accounts if account[0] in {email for email, *_ in stored}]
        report["imported"] += report["skipped"]
        assert report["skipped"] == len(skipped), "the same address in another case"
        assert_report(case, report)
        stored |= set(case.accounts) - set(skipped)
    assert set(accounts(gatehouse)) == stored


def test_without_its_option_a_file_is_refused_with_the_option_s_name(gatehouse: Gatehouse) -> None:
    for file, option, words in REFUSED:
        for options in (without(case_of(file).options, option), []):
            done = gatehouse("users", "import", str(FOLDER / file), *options)
            done.assert_error(1, words[0])
            for word in words:
                assert word in done.err
    assert accounts(gatehouse) == []


def test_people_read_which_columns_were_used_and_which_not(gatehouse: Gatehouse, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Name,E-mail,Team\nAnn Lee,ann@example.com,red\n")
    done = gatehouse("users", "import", str(file))
    assert done.code == 0
    assert done.err == "columns used: email from 'E-mail', display_name from 'Name'; not used: 'Team'\n"
    assert accounts(gatehouse) == [("ann@example.com", None, "Ann Lee")]


def test_a_file_of_another_kind_is_named(gatehouse: Gatehouse, tmp_path: Path) -> None:
    for content, words in (
        (b"PK\x03\x04\x14\0\x06\0\x08\0\0\0\0\0" + b"\0" * 16 + b"[Content_Types].xml", "an Excel workbook (.xlsx)"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b'[{"email": "ada@example.com"}]', "JSON"),
        (b"<!DOCTYPE html>\n<html>", "HTML"),
    ):
        file = tmp_path / "people.csv"
        file.write_bytes(content)
        gatehouse("users", "import", str(file)).assert_error(1, words)


def test_an_export_that_a_spreadsheet_has_changed_imports_without_doubled_apostrophes(
    gatehouse: Gatehouse, tmp_path: Path
) -> None:
    stored = [("ann@example.com", "+14155550132", "'tis"), ("bo@example.com", None, "=1+1")]
    for email, phone, name in stored:
        options = [] if phone is None else [f"--phone={phone}"]
        assert gatehouse("users", "create", "--email", email, f"--display-name={name}", *options).code == 0
    exported = gatehouse("users", "export").out.encode()
    for email, *_ in stored:
        assert gatehouse("users", "purge", email, "--yes").code == 0
    file = tmp_path / "edited.csv"
    file.write_bytes(edited(exported))
    assert gatehouse("users", "import", str(file), "--json").json()["imported"] == 2
    assert accounts(gatehouse) == stored


def test_a_field_that_breaks_a_rule_is_left_out_by_an_option_and_told(gatehouse: Gatehouse, tmp_path: Path) -> None:
    file, report = tmp_path / "people.csv", tmp_path / "report.csv"
    file.write_text(
        "email,phone,display_name\n"
        "ann@example.com,12,Ann\n"
        "bo@example.com,13,\0\n"
        "nonsense,14,Cy\n"
        ",15,Di\n"
        "ed@example.com,+14155550132,Ed\n"
    )
    strict = gatehouse("users", "import", str(file), "--json", "--dry-run")
    assert [row["line"] for row in json.loads(strict.out)["rejected"]] == [2, 3, 4, 5]
    options = ["--drop-invalid", "phone", "--report", str(report)]
    done = gatehouse("users", "import", str(file), *options, "--json")
    assert done.code == 3
    told = json.loads(done.out)
    assert (told["rows"], told["imported"], [row["line"] for row in told["rejected"]]) == (5, 2, [3, 4, 5])
    [dropped] = told["dropped"]
    assert dropped["line"] == 2
    assert dropped["reason"].startswith("stored without phone: ")
    both = told["rejected"][1]["reason"]
    assert both.startswith("email: "), both
    assert "; also phone: " in both
    lines = report.read_text().splitlines()
    assert lines[1].startswith(("2,imported,stored without phone: ", '2,imported,"stored without phone: '))
    assert lines[5] == "6,imported,"
    assert accounts(gatehouse) == [("ann@example.com", None, "Ann"), ("ed@example.com", "+14155550132", "Ed")]
    text = gatehouse("users", "import", str(file), "--drop-invalid", "password")
    text.assert_error(2, "--drop-invalid")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_encoding_is_known_by_any_of_its_names(gatehouse: Gatehouse, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    names = {"windows-1252": "Zoë’s", "latin1": "Zoë’s", "Shift_JIS": "山田", "utf-16-le": "Zoë", "koi8-r": "Зоя"}
    for number, (encoding, name) in enumerate(names.items()):
        file.write_bytes(
            f"email,display_name\nu{number}@example.com,{name}\n".encode("cp1252" if encoding == "latin1" else encoding)
        )
        assert gatehouse("users", "import", str(file), "--encoding", encoding).code == 0
    assert [name for _, _, name in accounts(gatehouse)] == list(names.values())
    for wrong in ("klingon", "base64", "unicode_escape", ""):
        gatehouse("users", "import", str(file), "--encoding", wrong).assert_error(2, "is no encoding of text")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_dash_reads_stdin(database_url: str, tmp_path: Path, gatehouse: Gatehouse) -> None:
    case: Case = case_of("outlook-cp1252.csv")
    done = subprocess.run(
        [sys.executable, "-m", "app", "users", "import", "-", *case.options, "--json"],
        input=case.content,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_report(case, json.loads(done.stdout))
    assert accounts(gatehouse) == list(case.accounts)
