"""`/v1/users/import` and `/v1/users/export`."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from app.api import create_app
from containers import Container, running
from domain import Role
from repositories import UserDao
from services.csv.user_csv_service import BATCH
from settings import Settings
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem, fields
from tests.conftest import ROOT
from unitwork.errors import ConnectionLost
from unitwork.models import SYSTEM, acting_as

IMPORT = "/v1/users/import"
EXPORT = "/v1/users/export"
CSV = {"Content-Type": "text/csv"}
REPORT = frozenset({"report"})


async def send(client: httpx2.AsyncClient, content: object, **options: object) -> httpx2.Response:
    return await client.post(IMPORT, content=content, headers=CSV, params=options)  # type: ignore[arg-type]


def counts(report: dict[str, Any]) -> tuple[int, int, int, list[Any]]:
    return report["rows"], report["imported"], report["skipped"], report["rejected"]


async def emails(container: Container) -> set[str]:
    return set(await container.user_dao().query().scalars("email")) - {"root@example.com"}


async def test_a_body_is_imported_as_it_arrives(client: httpx2.AsyncClient, container: Container) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (
            b"em",
            b"",
            b"ail;display_name\r\nada@exam",
            b"ple.com;Ada\r\nnonsense;\r\n",
            b"ADA@example.com;",
        ):
            yield piece

    response = await send(client, pieces())
    assert response.status_code == 200
    body = response.json()
    [rejection] = body.pop("rejected")
    assert (rejection["line"], rejection["reason"].partition(": ")[0]) == (3, "email")
    assert body == {
        "rows": 3,
        "imported": 1,
        "skipped": 1,
        "dropped": [],
        "columns": {"email": "email", "display_name": "display_name"},
        "unused_columns": [],
    }
    [user] = await container.user_dao().query().eq("email", "ada@example.com").all()
    assert user.display_name == "Ada"
    admin = await container.user_service().find("root@example.com")
    assert user.created_by == admin.id


async def test_real_input_comes_in_by_this_door(client: httpx2.AsyncClient, container: Container) -> None:
    content = (ROOT / "tests" / "data" / "us-500.csv").read_bytes()
    options = {"column": ["email=email", "phone=phone1", "display_name={firstname} {lastname}"], "region": "us"}
    dry = await send(client, content, dry_run=True, **options)
    assert counts(dry.json()) == (500, 500, 0, [])
    assert dry.json()["columns"] == {"email": "email", "phone": "phone1", "display_name": "{firstname} {lastname}"}
    assert dry.json()["unused_columns"] == ["street", "city", "state", "zip"]
    assert await emails(container) == set()
    assert (await send(client, content, **options)).json() == dry.json()
    assert len(await emails(container)) == 500

    report = await client.post(IMPORT, content=content, headers={**CSV, "Accept": "text/csv"}, params=options)
    assert report.headers["content-type"] == "text/csv; charset=utf-8"
    assert report.headers["content-disposition"] == 'attachment; filename="import-report.csv"'
    lines = list(csv.reader(io.StringIO(report.text)))
    assert lines[0] == ["line", "outcome", "reason"]
    assert lines[1:] == [[str(line), "skipped", ""] for line in range(2, 502)]


async def test_a_form_is_as_good(client: httpx2.AsyncClient, container: Container) -> None:
    response = await client.post(IMPORT, files={"any": ("people.csv", b"email\nada@example.com\n", "application/pdf")})
    assert response.json()["imported"] == 1
    assert await emails(container) == {"ada@example.com"}
    for form in ({"files": {}, "data": {"email": "x"}}, {"files": [("a", b"email\n"), ("b", b"email\n")]}):
        response = await client.post(IMPORT, **form)
        assert response.status_code in {400, 415}
    broken = await client.post(IMPORT, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=y"})
    assert_problem(broken, 400, "malformed_body")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_only_csv_is_taken(client: httpx2.AsyncClient) -> None:
    for media_type in ("application/json", "text/plain", "text/csv; charset=base64", "nonsense", ""):
        response = await client.post(IMPORT, content=b"email\n", headers={"Content-Type": media_type})
        problem = assert_problem(response, 415, "unsupported_media_type")
        assert "text/csv" in problem["detail"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_what_cannot_be_done_says_why(client: httpx2.AsyncClient, container: Container) -> None:
    unusable: list[tuple[bytes, dict[str, Any], str, str]] = [
        (b"email\n\xff\n", {}, "unreadable_csv", "line 2: not UTF-8"),
        (b"", {}, "unreadable_csv", "the file is empty"),
        (b"email\n" + b"x" * 140_000, {}, "unreadable_csv", "line 2: field larger"),
        (b"name\n", {}, "unusable_csv", "no column stands for"),
        (b"email\n", {"column": "email"}, "unusable_csv", "is not FIELD=COLUMN"),
        (b"email\n", {"column": ["email=email", "email=email"]}, "unusable_csv", "more than one column"),
        (b"email\n", {"column": "email={email!r}"}, "unusable_csv", "conversion or a format"),
        (b"email\n", {"column": "email=mail"}, "unusable_csv", "Did you mean 'email'?"),
    ]
    for content, options, code, words in unusable:
        problem = assert_problem(await send(client, content, **options), 422, code)
        assert words in problem["detail"]
    malformed: list[tuple[dict[str, Any], str]] = [
        ({"region": "XX"}, "query.region"),
        ({"start_line": 0}, "query.start_line"),
        ({"delimiter": ";"}, "query.delimiter"),
        ({"encoding": "klingon"}, "query.encoding"),
        ({"skip_lines": -1}, "query.skip_lines"),
        ({"drop_invalid": "password"}, "query.drop_invalid.0"),
        ({"dry": 1}, "query.dry"),
        ({"dry_run": "perhaps"}, "query.dry_run"),
    ]
    for options, field in malformed:
        assert fields(assert_problem(await send(client, b"email\n", **options), 422, "invalid_request")) == [field]
    assert await emails(container) == set()


async def test_a_file_that_breaks_half_way_tells_what_was_done_and_where_to_go_on(
    client: httpx2.AsyncClient, container: Container
) -> None:
    content = b"email\n" + b"".join(b"user%d@example.com\n" % number for number in range(BATCH + 9))
    problem = assert_problem(await send(client, content + b"\xff\n"), 422, "unreadable_csv", facts=REPORT)
    assert counts(problem["report"]) == (BATCH, BATCH, 0, [])
    assert problem["report"]["next_line"] == BATCH + 2
    assert len(await emails(container)) == BATCH
    rest = await send(client, content, start_line=problem["report"]["next_line"])
    assert rest.json()["imported"] == 9


async def test_a_database_that_fails_half_way_is_not_said_to_have_changed_nothing(
    client: httpx2.AsyncClient, container: Container
) -> None:
    class FailsLater(UserDao):
        async def add_many(self, rows: Any) -> Any:
            if len(await self.query().scalars("id")) > BATCH:
                raise ConnectionLost("canary", sqlstate="57P01")
            return await super().add_many(rows)

    content = b"email\n" + b"".join(b"user%d@example.com\n" % number for number in range(BATCH + 9))
    with container.user_dao.override(FailsLater(container.session_provider())):
        response = await send(client, content)
    problem = assert_problem(response, 503, "try_again", facts=REPORT)
    assert problem["detail"] == f"the database failed; rows before line {BATCH + 2} are settled, go on from there"
    assert response.headers["retry-after"]
    assert len(await emails(container)) == BATCH


@pytest.mark.database("own")
async def test_an_import_may_be_larger_than_other_bodies_but_not_endless(settings: Settings) -> None:
    small = settings.model_copy(
        update={"max_body_bytes": 2000, "csv": settings.csv.model_copy(update={"max_bytes": 100_000, "max_rows": 3000})}
    )
    async with running(Container(settings=small)) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            _, secret = await container.auth_service().issue(admin.id)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(create_app(container)),
            base_url="http://test",
            headers={"Authorization": f"Bearer {secret}"},
        ) as client:
            assert (await send(client, b"email\n" + b"nonsense\n" * 2000)).json()["rows"] == 2000

            async def endless() -> AsyncIterator[bytes]:
                yield b"email\n"
                while True:
                    yield b"nonsense\n" * 100

            problem = assert_problem(await send(client, endless()), 413, "too_many_rows", facts=REPORT)
            assert problem["report"]["rows"] == 3000
            assert problem["report"]["next_line"] == 3002
            long = b"email,other\n" + (b"nonsense," + b"x" * 1000 + b"\n") * 101
            assert_problem(await send(client, long), 413, "content_too_large")
            declared = await client.post(IMPORT, content=b"x", headers={**CSV, "Content-Length": "1000000"})
            assert_problem(declared, 413, "content_too_large")
            other = await client.post("/v1/users", json={"email": "a@example.com", "display_name": "x" * 3000})
            assert_problem(other, 413, "content_too_large")


async def test_an_export_is_a_file_that_an_import_takes_back(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    await sign_in({"email": "=a@example.com", "display_name": "'=1+1", "phone": "+14155550132"})
    response = await client.get(EXPORT)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="users.csv"'
    assert response.headers["cache-control"] == "no-store"
    assert ",'=a@example.com,'+14155550132,''=1+1,user,active," in response.text
    again = (await send(client, response.content)).json()
    assert counts(again) == (2, 0, 2, [])
    plain = await client.get(EXPORT, params={"plain": "true"})
    assert response.text == "sep=,\r\n" + plain.text


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_both_are_for_admins(client: httpx2.AsyncClient, sign_in: SignIn, container: Container) -> None:
    _, headers = await sign_in({"email": "ada@example.com"})
    for response in (
        await client.post(IMPORT, content=b"email\nx@example.com\n", headers={**headers, **CSV}),
        await client.get(EXPORT, headers=headers),
    ):
        assert_problem(response, 403, "not_allowed")
    for response in (
        await client.post(IMPORT, content=b"email\n", headers={"Authorization": "", **CSV}),
        await client.get(EXPORT, headers={"Authorization": ""}),
    ):
        assert_problem(response, 401, "not_authenticated")
    assert await emails(container) == {"ada@example.com"}


async def test_an_export_from_a_database_that_does_not_answer_is_503_and_no_file() -> None:
    settings = Settings(database={"url": "postgresql://someone:canary@127.0.0.1:1/nowhere"})

    class Admin:
        async def authenticate(self, secret: str) -> object:
            class Anyone:
                id, admin = 1, True

            return Anyone()

    async with running(Container(settings=settings)) as container:
        with container.auth_service.override(Admin()):
            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(create_app(container)), base_url="http://test"
            ) as client:
                response = await client.get(EXPORT, headers={"Authorization": "Bearer gh_any"})
        assert_problem(response, 503, "unavailable")
