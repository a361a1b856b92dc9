"""container_command: registers an `async def` that takes the running container as a command.

Typer silently ignores the coroutine of an `async def` command; this is the one place that runs them.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from app.cli.database_file import require_file
from app.cli.signals import run_to_its_end
from app.logs import configure_logs
from app.private_files import keep_private
from containers import Container, running
from unitwork import reads_from_primary
from unitwork.models import SYSTEM, acting_as

P = ParamSpec("P")
Command = Callable[Concatenate[Container, P], Awaitable[int | None]]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def container_command(
    application: typer.Typer, name: str, *, makes_database: bool = False
) -> Callable[[Command[P]], Command[P]]:
    """Register an async function as a command. Its first parameter is the container, which doesn't become an option;
    its result is the exit code, None for success. The command is refused when the file of an embedded database is
    missing, unless the command creates it.
    """

    def register(function: Command[P]) -> Command[P]:
        signature = inspect.signature(function)
        options = list(signature.parameters.values())[1:]

        def command(context: typer.Context, **arguments: Any) -> int | None:
            _require_text(arguments)
            return run_to_its_end(_run(context.obj, function, arguments, makes_database=makes_database))

        parameter = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        command.__signature__ = signature.replace(parameters=[parameter, *options])  # type: ignore[attr-defined]  # read by inspect
        command.__annotations__ = {
            "context": typer.Context,
            **{option.name: option.annotation for option in options},
        }
        command.__doc__ = function.__doc__
        application.command(name)(command)
        return function

    return register


def _require_text(arguments: dict[str, Any]) -> None:
    """Raise for an argument that isn't UTF-8: Python maps such bytes to surrogates, which no database can store."""
    for name, value in arguments.items():
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            msg = f"'{name}' is not UTF-8 text"
            raise typer.BadParameter(msg)


async def _run(
    given: Container | None,
    function: Callable[..., Awaitable[int | None]],
    arguments: Any,
    *,
    makes_database: bool,
) -> int | None:
    container = Container() if given is None else given
    if not makes_database:
        require_file(container)
    keep_private(container.settings().var_dir)
    async with running(container):
        configure_logs(container.settings())
        with acting_as(SYSTEM), reads_from_primary():  # an operator's questions are few, and about what is
            return await function(container, **arguments)
