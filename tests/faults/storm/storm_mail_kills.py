"""kill -9 of server, relay and worker at 500 random moments while people register and recover: no mail is lost, and
none is sent under two ids. GATEHOUSE_TEST_STORM takes a share.
"""

from pathlib import Path

import pytest

from containers import Container
from tests.faults.mail_kills import MailKills
from tests.services.mail_server import mail_server

KILLS = 500


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.database("own")
async def test_every_mail_that_was_committed_arrives_under_one_id(
    container: Container, database_url: str, tmp_path: Path, share: float
) -> None:
    async with mail_server() as server:
        variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        kills = MailKills(container, server, tmp_path, **variables)
        print("seed", kills.seed, flush=True)
        await kills.run(max(3, round(KILLS * share)))
        problems = await kills.problems()
    print(f"{kills}: {len(problems)} lost, sent under two ids, or without their mail", flush=True)
    assert problems == []
    assert server.kept
