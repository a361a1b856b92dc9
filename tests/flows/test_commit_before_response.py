"""What a client is told is true: over a real server, at the moment the answer arrives."""

import httpx2

from containers import Container
from tests.database.tables import create_tables, stored
from tests.flows.server import serving, until_listening


async def test_50_commits_that_fail_after_the_handler_are_never_answered_2xx(container: Container) -> None:
    await create_tables(container)
    settings = container.settings()
    url = settings.database.url.render_as_string(hide_password=False)
    program = ("-m", "tests.flows.failing_commit_application")
    with serving(settings.var_dir, program=program, DATABASE_URL=url) as base:
        until_listening(base)
        async with httpx2.AsyncClient(base_url=base, limits=httpx2.Limits(max_connections=1)) as client:
            failed, neighbours = [], []
            for number in range(50):
                failed.append(await client.post(f"/notes/lost {number}", params={"reply_to": 404}))
                neighbours.append(await client.post(f"/notes/kept {number}"))
    assert [answer.status_code for answer in failed] == [409] * 50
    assert {answer.headers["content-type"] for answer in failed} == {"application/problem+json"}
    assert [answer.status_code for answer in neighbours] == [200] * 50
    assert await stored(container) == {f"kept {number}" for number in range(50)}


async def test_1000_writes_are_read_back_by_another_client_at_once(container: Container, admin_token: str) -> None:
    settings = container.settings()
    url = settings.database.url.render_as_string(hide_password=False)
    headers = {"Authorization": f"Bearer {admin_token}"}
    stale = 0
    with serving(settings.var_dir, DATABASE_URL=url, GATEHOUSE_VAR_DIR=str(settings.var_dir)) as base:
        until_listening(base)
        async with (
            httpx2.AsyncClient(base_url=base, headers=headers) as writer,
            httpx2.AsyncClient(base_url=base, headers=headers) as reader,
        ):
            for number in range(1000):
                written = await writer.post("/v1/users", json={"email": f"user{number}@example.com"})
                assert written.status_code == 201
                read = await reader.get(written.headers["Location"])
                stale += read.status_code != 200 or read.json() != written.json()
    assert stale == 0
