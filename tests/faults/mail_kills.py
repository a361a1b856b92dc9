"""MailKills: server, relay and worker are killed (SIGKILL) while people register and recover, and a real SMTP server
keeps what it was given.
"""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx2

from containers import Container
from tests.app.worker.processes import WorkerProcess, kill_group, worker
from tests.flows.server import ServerProcess, environment, server_process, until_listening
from tests.patience import until
from tests.services.mail_server import MailServer
from unitwork.models import SYSTEM, acting_as

DRAINED_WITHIN: Final = 400.0
PASSWORD: Final = "correct horse battery"


class MailKills:
    """Clients ask without a pause, while one process after the other is killed and started again."""

    def __init__(self, container: Container, server: MailServer, folder: Path, **variables: str) -> None:
        self.seed = random.SystemRandom().getrandbits(32)
        self.kills: Counter[str] = Counter()
        self.asked = 0
        self._random = random.Random(self.seed)
        self._container = container
        self._server = server
        self._folder = folder
        self._variables = variables | {
            "GATEHOUSE_OUTBOX__REDELIVER_AFTER": "2",
            "GATEHOUSE_OUTBOX__POLL_INTERVAL": "0.05",
            "GATEHOUSE_OUTBOX__MAX_ATTEMPTS": "1000",
            "GATEHOUSE_PASSWORDS__MEMORY_COST": "32",
            "GATEHOUSE_PASSWORDS__TIME_COST": "1",
            "GATEHOUSE_RATE_LIMITS__REGISTER_ADDRESS": "off",
            "GATEHOUSE_RATE_LIMITS__RECOVER_ADDRESS": "off",
            "GATEHOUSE_MAIL__HOST": "localhost",
            "GATEHOUSE_MAIL__PORT": str(server.port),
            "GATEHOUSE_MAIL__SECURITY": "none",
        }
        self._stack = ExitStack()
        self._api: ServerProcess | None = None
        self._worker: WorkerProcess | None = None
        self._relay: subprocess.Popen[bytes] | None = None

    async def run(self, kills: int) -> None:
        """So many kills, then until nothing waits any more."""
        over = asyncio.Event()
        with self._stack:
            for start in (self._start_api, self._start_relay, self._start_worker):
                await asyncio.to_thread(start)
            clients = asyncio.create_task(self._ask(over))
            try:
                while self.kills.total() < kills:
                    await asyncio.sleep(self._random.uniform(0, 0.4))
                    await asyncio.to_thread(self._kill)
            finally:
                over.set()
                await clients
            await until(self._nothing_waits, within=DRAINED_WITHIN, pause=0.2)

    async def problems(self) -> list[str]:
        """Mails that were lost, sent under two ids, or differ between two copies; and secrets without a mail."""
        with acting_as(SYSTEM):
            stored = await self._container.mail_dao().query().all()
            done = set(await self._container.inbox_dao().query().scalars("id"))
        copies: dict[int, set[str]] = {}
        for at, mail in enumerate(self._server.kept):
            number = int(str(mail["Message-ID"]).strip("<>").partition("@")[0])
            copies.setdefault(number, set()).add(self._server.text(at))
        written = {mail.id for mail in stored}
        return (
            [f"lost: {id_}" for id_ in sorted(written - copies.keys())]
            + [f"mailed, and not stored: {id_}" for id_ in sorted(copies.keys() - written)]
            + [f"two copies differ: {id_}" for id_, texts in copies.items() if len(texts) > 1]
            + [f"a secret whose message isn't done: {id_}" for id_ in sorted(written - done)]
        )

    @property
    def copies(self) -> int:
        """Second copies, under the Message-ID of the first."""
        return len(self._server.kept) - len(set(self._server.ids()))

    def __str__(self) -> str:
        kills = ", ".join(f"{count} of the {what}" for what, count in sorted(self.kills.items()))
        return (
            f"seed {self.seed}: {self.kills.total()} kills ({kills}), {self.asked} requests answered, "
            f"{len(set(self._server.ids()))} mails, {self.copies} second copies by their Message-ID"
        )

    async def _ask(self, over: asyncio.Event) -> None:
        number = 0
        async with httpx2.AsyncClient(timeout=5) as client:
            while not over.is_set():
                number += 1
                assert self._api is not None
                base, address = f"{self._api.address}/v1/auth", f"p{number}@example.com"
                known = f"p{max(1, number - self._random.randint(0, 20))}@example.com"
                try:
                    await client.post(f"{base}/register", json={"email": address, "password": PASSWORD})
                    await client.post(f"{base}/recover", json={"login": known})
                    self.asked += 2
                except httpx2.HTTPError:  # killed meanwhile
                    await asyncio.sleep(0.05)
                await asyncio.sleep(self._random.uniform(0, 0.2))

    async def _nothing_waits(self) -> bool:
        with acting_as(SYSTEM):
            return (await self._container.outbox_service().lag()).waiting == 0

    def _kill(self) -> None:
        assert self._api is not None
        assert self._worker is not None
        assert self._relay is not None
        what = self._random.choices(("server", "relay", "worker"), (3, 5, 3))[0]
        if what == "server":
            self._api.process.kill()
            self._api.process.wait(10)
            self._start_api()
        elif what == "relay":
            self._relay.kill()
            self._relay.wait(10)
            self._start_relay()
        else:
            kill_group(self._worker.process)
            self._start_worker()
        self.kills[what] += 1

    def _start_api(self) -> None:
        self._api = self._stack.enter_context(server_process(self._folder, **self._variables))
        until_listening(self._api.address)

    def _start_worker(self) -> None:
        self._worker = self._stack.enter_context(
            worker(self._folder, "--pool=threads", "--concurrency=2", **self._variables)
        )

    def _start_relay(self) -> None:
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "app", "outbox", "relay"],
            env=environment(**self._variables),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._stack.callback(_ended, self._relay)


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(10)
