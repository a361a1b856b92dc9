"""`gatehouse demo`: creates demonstration accounts, and runs the whole service in one command."""

import asyncio
import socket
import urllib.request
from contextvars import Context
from typing import Annotated, Final

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.listening import named
from app.cli.output import print_json, say
from app.cli.server import Server, told_by_signals
from containers import Container
from domain import Role, UserChanges
from domain.errors import AlreadyTaken
from settings import Environment, Settings

application = typer.Typer(no_args_is_help=True, help="Demonstration.")

CHOICES: Final = "PORT=NUMBER in the environment, such as: PORT=8001 make run"
ADMIN: Final = "admin@example.com"
PEOPLE: Final = (
    ("Ada Lovelace", "ada@example.com"),
    ("Alan Turing", "alan@example.com"),
    ("Barbara Liskov", "barbara@example.com"),
    ("Edsger Dijkstra", "edsger@example.com"),
    ("Frances Allen", "frances@example.com"),
    ("Grace Hopper", "grace@example.com"),
    ("Jim Gray", "jim@example.com"),
    ("Leslie Lamport", "leslie@example.com"),
    ("Radia Perlman", "radia@example.com"),
    ("Tony Hoare", "tony@example.com"),
)


@container_command(application, "seed")
async def seed(container: Container, json: JsonFlag = False) -> int:
    """Create the demonstration accounts that aren't there yet. Refused in production."""
    if _refused(container.settings()):
        return ExitCode.FAILED
    created = await _seed(container)
    print_json({"created": created}) if json else say(f"demonstration accounts created: {created}")
    return ExitCode.DONE


@container_command(application, "run", makes_database=True)
async def run(
    container: Container,
    check: Annotated[bool, typer.Option("--check", help="Ask the server for its first answers, and stop.")] = False,
) -> int:
    """Migrate, seed, and serve; prints the addresses and, on the embedded database, a token for the demo admin. Refused
    in production.
    """
    settings = container.settings()
    if _refused(settings):
        return ExitCode.FAILED
    await container.schema().upgrade()
    await _seed(container)
    secret = None
    if settings.database.embedded:
        admin = await container.user_service().find(ADMIN)
        _, secret = await container.auth_service().issue(admin.id)
    port = 0 if check else settings.port
    with named(settings.host, port, CHOICES):
        listener = socket.create_server((settings.host, port), reuse_port=False)
    with listener:
        base = f"http://{settings.host}:{listener.getsockname()[1]}"
        server = Server(container)
        with told_by_signals(server.handle_exit):
            # An empty context: requests must not inherit this command's acting user.
            serving = asyncio.create_task(server.serve(sockets=[listener]), context=Context())
            try:
                while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag, no event
                    await asyncio.sleep(0.01)
                if check:
                    return await asyncio.to_thread(_check, base, secret)
                _introduce(base, secret)
                await serving
            finally:
                server.should_exit = True
                await serving
    return ExitCode.DONE


def _refused(settings: Settings) -> bool:
    """Return True in production, after printing the refusal."""
    if settings.environment is not Environment.PRODUCTION:
        return False
    say(
        "error: the demonstration makes accounts that anybody knows, an admin's too, and this is production. "
        "Serve with: gatehouse serve; or set GATEHOUSE_ENVIRONMENT=development"
    )
    return True


async def _seed(container: Container) -> int:
    users = container.user_service()
    people: list[UserChanges] = [{"email": ADMIN, "display_name": "Demo Admin", "role": Role.ADMIN}]
    people += [{"email": email, "display_name": name} for name, email in PEOPLE]
    created = 0
    for person in people:
        try:
            await users.create(person)
        except AlreadyTaken:
            continue
        created += 1
    return created


def _introduce(base: str, secret: str | None) -> None:
    print(f"API      {base}/v1/users")
    print(f"Docs     {base}/docs")
    print(f"Health   {base}/health/ready")
    if secret is None:
        print(f"Token    issue one with: gatehouse tokens issue {ADMIN}")
    else:
        print(f"Token    {secret}")
        print(f"Try      curl -H 'Authorization: Bearer {secret}' {base}/v1/users", flush=True)


def _check(base: str, secret: str | None) -> int:
    probes: dict[str, str | None] = {"/health/live": None, "/health/ready": None}
    if secret is not None:
        probes["/v1/users?limit=1"] = f"Bearer {secret}"
    failed = 0
    for path, authorization in probes.items():
        request = urllib.request.Request(base + path)  # noqa: S310 - our own address, http
        if authorization:
            request.add_header("Authorization", authorization)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                status = response.status
        except OSError as error:
            status = getattr(error, "code", type(error).__name__)
        print(f"{status} {path}")
        failed += status != 200
    return ExitCode.UNHEALTHY if failed else ExitCode.DONE
