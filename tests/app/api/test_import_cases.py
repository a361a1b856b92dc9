"""`POST /v1/users/import` of files as other programs write them."""

import httpx2
import pytest

from containers import Container
from tests.app.api.problem_document import assert_problem
from tests.app.import_cases import CASES, REFUSED, Case, assert_report, case_of, edited, without
from unitwork.models import SYSTEM, acting_as

IMPORT = "/v1/users/import"
CSV = {"Content-Type": "text/csv"}


async def accounts(container: Container) -> list[tuple[str | None, str | None, str | None]]:
    users = await container.user_dao().query().ne("email", "root@example.com").order_by("id").all()
    return [(user.email, user.phone, user.display_name) for user in users]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
async def test_each_file_becomes_the_accounts_its_sender_means(
    client: httpx2.AsyncClient, container: Container, case: Case
) -> None:
    response = await client.post(IMPORT, content=case.content, headers=CSV, params=case.query)
    assert response.status_code == 200, response.text
    assert_report(case, response.json())
    assert await accounts(container) == list(case.accounts)


async def test_without_its_option_a_file_is_refused_with_the_option_s_name(
    client: httpx2.AsyncClient, container: Container
) -> None:
    for file, option, words in REFUSED:
        case = Case(file, ())
        query = {name: value for name, value in case.query.items() if f"--{name.replace('_', '-')}" != option}
        assert len(query) < len(case.query)
        assert len(without(case.options, option)) == len(case.options) - 2
        response = await client.post(IMPORT, content=case.content, headers=CSV, params=query)
        assert response.status_code == 422
        for word in words:
            assert word in response.json()["detail"]
    assert await accounts(container) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_the_charset_of_content_type_is_the_encoding(client: httpx2.AsyncClient, container: Container) -> None:
    case = case_of("outlook-cp1252.csv")
    query = {name: value for name, value in case.query.items() if name != "encoding"}
    declared = {"Content-Type": 'text/csv; charset="Windows-1252"'}
    assert_report(case, (await client.post(IMPORT, content=case.content, headers=declared, params=query)).json())
    part = {
        "file": ("people.csv", "email,display_name\nx@example.com,Šárka".encode("cp1250"), "text/csv; charset=cp1250")
    }
    assert (await client.post(IMPORT, files=part)).json()["imported"] == 1
    assert [name for _, _, name in await accounts(container)] == ["Zoë Groß", "Bo Li", "Šárka"]


async def test_a_file_of_another_kind_is_named(client: httpx2.AsyncClient) -> None:
    for content, words in (
        (
            b"PK\x03\x04\x14\0\x06\0\x08\0\0\0\0\0" + b"\0" * 16 + b"[Content_Types].xml",
            "an Excel workbook (.xlsx), not CSV",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b'{"email": "ada@example.com"}', "JSON"),
        (b"<!DOCTYPE html>\n<html>", "HTML"),
    ):
        problem = assert_problem(await client.post(IMPORT, content=content, headers=CSV), 422, "unreadable_csv")
        assert words in problem["detail"]


@pytest.mark.database("own")
async def test_a_worker_is_told_every_option(client: httpx2.AsyncClient, container: Container) -> None:
    content = b"made by a program\nMail;Phone\n\xe9va@example.com;+14155550132\nzoe@example.com;12\n"
    query: dict[str, str | int] = {
        "encoding": "cp1252",
        "skip_lines": 1,
        "drop_invalid": "phone",
        "delimiter": "semicolon",
    }
    headers = {**CSV, "Prefer": "respond-async"}
    taken = await client.post(IMPORT, content=content, headers=headers, params=query)
    assert taken.status_code == 202, taken.text
    with acting_as(SYSTEM):
        (message,) = (await container.outbox_service().list()).items
        await container.inbox_service().handle(message.id)
    progress = (await client.get(taken.headers["location"])).json()["progress"]
    assert (progress["imported"], progress["dropped_count"], progress["rejected"]) == (2, 1, [])
    assert progress["dropped"][0]["line"] == 4
    assert progress["columns"] == {"email": "Mail", "phone": "Phone"}
    assert [email for email, _, _ in await accounts(container)] == ["éva@example.com", "zoe@example.com"]


async def test_columns_that_can_be_told_are_used_and_the_report_names_the_others(
    client: httpx2.AsyncClient, container: Container
) -> None:
    for number, address in enumerate(("E-mail", "e-mail", "mail", "Email")):
        content = f"Name,{address},Team\nAnn Lee,ann{number}@example.com,red\n".encode()
        report = (await client.post(IMPORT, content=content, headers=CSV)).json()
        assert report["columns"] == {"email": address, "display_name": "Name"}
        assert report["unused_columns"] == ["Team"]
    assert await accounts(container) == [(f"ann{number}@example.com", None, "Ann Lee") for number in range(4)]


async def test_every_bad_field_of_a_row_is_told(client: httpx2.AsyncClient, container: Container) -> None:
    content = b"email,phone,display_name\nnonsense,14,\0\n"
    [row] = (await client.post(IMPORT, content=content, headers=CSV)).json()["rejected"]
    assert row["reason"].startswith("email: ")
    assert "phone: " in row["reason"]
    assert "display_name: " in row["reason"]
    assert await accounts(container) == []


async def test_an_export_that_a_spreadsheet_has_changed_imports_without_doubled_apostrophes(
    client: httpx2.AsyncClient, container: Container
) -> None:
    stored = [("ann@example.com", "+14155550132", "'tis"), ("bo@example.com", None, "=1+1")]
    for email, phone, name in stored:
        body = {"email": email, "phone": phone, "display_name": name}
        assert (await client.post("/v1/users", json=body)).status_code == 201
    exported = (await client.get("/v1/users/export")).content
    rows = edited(exported)
    with acting_as(SYSTEM):
        for email, *_ in stored:
            await container.user_dao().delete().eq("email", email).execute()
    report = (await client.post(IMPORT, content=rows, headers=CSV)).json()
    assert (report["imported"], report["skipped"]) == (2, 1), "the admin is there"
    assert await accounts(container) == stored
