"""Accept and Prefer: qualities, cases, parameters; and the options of a form."""

import httpx2
import pytest
from starlette.datastructures import Headers

from app.api.accept import choose, prefers, wish
from app.api.errors import NotAcceptable
from containers import Container
from tests.app.api.problem_document import assert_problem, fields

CSV, JSON = "text/csv", "application/json"
IMPORT = "/v1/users/import"
EXPORT = "/v1/users/export"


@pytest.mark.parametrize(
    ("accept", "quality"),
    [
        ("text/csv", 1.0),
        ("TEXT/CSV", 1.0),
        ("text/csv;q=0", 0.0),
        ("text/csv;q=0.000", 0.0),
        ("text/csv; Q=0.5", 0.5),
        ("*/*", 1.0),
        ("text/*;q=0.3, */*;q=0.9", 0.3),
        ("*/*, text/csv;q=0", 0.0),
        ("text/csv; charset=utf-8; q=0.7", 0.7),
        ("application/json", 0.0),
        ("text/html, */*;q=0.1", 0.1),
        ("", 1.0),
        ("nonsense", 1.0),
        ("text/csv;q=2", 0.0),
        ("text/csv;q=1.000", 1.0),
        ("text/csv;header=present", 1.0),
        ("text/csvx", 0.0),
        ("text/csv , ", 1.0),
    ],
)
def test_how_much_a_type_is_wanted(accept: str, quality: float) -> None:
    assert wish(Headers({"accept": accept}), CSV).quality == quality


def test_without_the_header_everything_is_wanted() -> None:
    assert wish(Headers({}), CSV).quality == 1


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("text/csv", CSV),
        ("Text/Csv", CSV),
        ("application/json", JSON),
        ("*/*", JSON),
        ("text/csv, application/json", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("text/csv, application/json;q=0.5", CSV),
        ("text/csv, */*", CSV),
        ("text/csv;q=0, */*", JSON),
        ("text/*", CSV),
        ("text/csv;q=0.1, application/*;q=0.2", JSON),
    ],
)
def test_the_one_that_is_wanted_most_is_chosen(accept: str, chosen: str) -> None:
    assert choose(Headers({"accept": accept}), JSON, CSV) == chosen


def test_none_that_is_wanted_is_an_error_that_names_them() -> None:
    with pytest.raises(NotAcceptable, match="the answer is application/json or text/csv"):
        choose(Headers({"accept": "image/png"}), JSON, CSV)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("wait=10, respond-async", True),
        ("respond-async; foo=1", True),
        ("x-respond-async", False),
        ("respond-async-not", False),
        ("return=minimal", False),
        ("", False),
    ],
)
def test_a_preference_is_named_whole(value: str, said: bool) -> None:
    assert prefers(Headers({"prefer": value}), "respond-async") is said


async def test_an_export_is_csv_or_406(client: httpx2.AsyncClient) -> None:
    for accept in ("text/csv", "TEXT/CSV", "text/*", "*/*", "text/html;q=0.9, */*;q=0.1", "text/csv; charset=utf-8"):
        answer = await client.get(EXPORT, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["vary"] == "Accept"
    for accept in ("text/csv;q=0", "TEXT/CSV;Q=0.0", "application/json", "*/*, text/csv;q=0", "text/*;q=0"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, EXPORT, headers={"Accept": accept})
            assert answer.status_code == 406
        assert (
            "text/csv"
            in assert_problem(await client.get(EXPORT, headers={"Accept": accept}), 406, "not_acceptable")["detail"]
        )


async def test_an_import_that_no_report_is_wanted_of_imports_nothing(
    client: httpx2.AsyncClient, container: Container
) -> None:
    for accept, media_type in (("TEXT/CSV", "text/csv; charset=utf-8"), ("text/csv;q=0, */*", "application/json")):
        answer = await client.post(IMPORT, content=b"email\n", headers={"Content-Type": CSV, "Accept": accept})
        assert answer.headers["content-type"] == media_type
    headers = {"Content-Type": CSV, "Accept": "image/png"}
    answer = await client.post(IMPORT, content=b"email\nada@example.com\n", headers=headers)
    assert_problem(answer, 406, "not_acceptable")
    assert await container.user_dao().query().eq("email", "ada@example.com").exists() is False


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_other_answers_are_json_whatever_is_accepted(client: httpx2.AsyncClient) -> None:
    for accept in ("text/html", "application/json;q=0", "APPLICATION/JSON", "nonsense"):
        answer = await client.get("/v1/users/me", headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"


FILE = {"file": ("people.csv", b"mail,tel\nada@example.com,(415) 555-0132\n", "text/csv")}


async def test_fields_of_a_form_are_the_options_of_the_query(client: httpx2.AsyncClient, container: Container) -> None:
    options = {"column": ["email=mail", "phone=tel"], "region": "us", "dry_run": "true"}
    dry = await client.post(IMPORT, files=FILE, data=options)
    assert dry.json()["imported"] == 1
    assert await container.user_dao().query().eq("email", "ada@example.com").exists() is False
    done = await client.post(f"{IMPORT}?region=US", files=FILE, data={"column": ["email=mail", "phone=tel"]})
    assert done.json()["imported"] == 1
    (user,) = await container.user_dao().query().eq("email", "ada@example.com").all()
    assert user.phone == "+14155550132"


async def test_a_form_may_have_an_import_go_on_in_a_worker(client: httpx2.AsyncClient, container: Container) -> None:
    options = {"column": ["email=mail", "phone=tel"], "region": "US", "start_line": "2"}
    answer = await client.post(IMPORT, files=FILE, data=options, headers={"Prefer": "wait=1, Respond-Async"})
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    job = await container.job_service().get(int(answer.json()["id"]))
    assert job.options["region"] == "US"
    assert job.options["columns"] == ["email=mail", "phone=tel"]
    assert job.position == 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_an_option_of_a_form_that_is_not_acceptable_is_named(
    client: httpx2.AsyncClient, container: Container
) -> None:
    for data, field in (
        ({"regoin": "US"}, "body.regoin"),
        ({"region": "XX"}, "body.region"),
        ({"region": ["US", "US"]}, "body.region"),
        ({"region": ""}, "body.region"),
        ({"dry_run": "perhaps"}, "body.dry_run"),
        ({"start_line": "0"}, "body.start_line"),
        ({"file": "text"}, "body.file"),
    ):
        for headers in ({}, {"Prefer": "respond-async"}):
            answer = await client.post(IMPORT, files=FILE, data=data, headers=headers)
            assert fields(assert_problem(answer, 422, "invalid_request")) == [field], data
    both = await client.post(f"{IMPORT}?region=US", files=FILE, data={"region": "DE"})
    assert fields(assert_problem(both, 422, "invalid_request")) == ["body.region"]
    assert await container.user_dao().count().rows() == 1
    assert await container.job_dao().count().rows() == 0
