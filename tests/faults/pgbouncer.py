"""PgBouncer: a real one in front of a PostgreSQL, in transaction mode, where this machine has the program."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from unitwork.testing.servers.postgresql_server import free_port

PROGRAM: Final = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
_CONFIGURATION: Final = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = /dev/null
pool_mode = transaction
default_pool_size = 3
"""
"""`auth_type = any` admits whoever comes as `postgres`, whom the server behind trusts."""


@contextmanager
def pgbouncer(server_port: int) -> Iterator[int]:
    """The port of a pooler that lives as long as the block. As root it runs as `nobody`, as it refuses root."""
    if PROGRAM is None:
        msg = "no pgbouncer: it is Debian's package of that name"
        raise RuntimeError(msg)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gatehouse-pgbouncer-") as folder:
        configuration = Path(folder) / "pgbouncer.ini"
        Path(folder).chmod(0o755)
        configuration.write_text(_CONFIGURATION.format(server=server_port, port=port))
        with subprocess.Popen(
            [PROGRAM, "-q", configuration],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user="nobody" if os.getuid() == 0 else None,
            cwd="/",
        ) as process:
            try:
                _wait_until_listening(port, process)
                yield port
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    msg = "the pooler doesn't listen"
    raise RuntimeError(msg)
