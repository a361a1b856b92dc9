"""TlsPostgresql: a server that asks for passwords and speaks TLS, as providers' do; and one without TLS."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.private_postgresql import PrivatePostgresql
from unitwork.testing.servers.postgresql_server import run_as

PASSWORD: Final = "pässwört"
ROLES: Final = (
    f"CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}' CREATEDB",
    "CREATE ROLE few LOGIN CONNECTION LIMIT 0",
    "CREATE ROLE tls LOGIN",
)
HBA: Final = """
hostnossl all tls 127.0.0.1/32 reject
host all ann 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


def system_binaries() -> list[Path]:
    """Of each PostgreSQL that the system has, oldest first."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


class AskingPostgresql(PrivatePostgresql):
    """Asks `ann` for her password, and notes what connects; without TLS, so that the wheel's binaries will do."""

    configuration = "logging_collector = on\nlog_connections = on\nlog_line_prefix = '%a|'\nlog_statement = all\n"

    def ask_for_passwords(self) -> None:
        """Start again, with roles that are asked."""
        for role in ROLES:
            asyncio.run(self.ask(role))
        self.stop()
        (self._data / "pg_hba.conf").write_text(HBA)
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write(self.configuration)
        self.start()

    def log(self) -> str:
        """What the server has noted since it asks."""
        return "".join(path.read_text(errors="replace") for path in (self._data / "log").iterdir())


class TlsPostgresql(AskingPostgresql):
    """Speaks TLS with a certificate for `localhost`, and admits `tls` by TLS alone."""

    configuration = f"{AskingPostgresql.configuration}ssl = on\n"

    def _binaries(self, home: Path) -> Path:
        """The system's: those of the wheel know no TLS."""
        return system_binaries()[-1]

    def speak_tls(self, certificates: Path) -> None:
        """Start again with the certificate of a folder."""
        for name in ("server.crt", "server.key"):
            shutil.copy(certificates / name, self._data / name)
            (self._data / name).chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(self._data / name, "nobody")
        self.ask_for_passwords()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server.crt` is for `localhost`; `other.crt` has signed nothing."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("certificates")
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost")
    run_as(None, "openssl", *made, *names, "-keyout", folder / "server.key", "-out", folder / "server.crt")
    run_as(None, "openssl", *made, "-keyout", folder / "other.key", "-out", folder / "other.crt")
    return folder


@pytest.fixture(scope="session")
def tls_server(certificates: Path) -> Iterator[TlsPostgresql]:
    if not system_binaries():
        pytest.skip("no PostgreSQL of the system's, and the wheel's knows no TLS")
    with TlsPostgresql() as server:
        server.speak_tls(certificates)
        yield server


@pytest.fixture(scope="session")
def asking_server() -> Iterator[AskingPostgresql]:
    with AskingPostgresql() as server:
        server.ask_for_passwords()
        yield server
