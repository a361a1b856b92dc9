"""container_command: an `async def` that gets the running container, made into a command.

Typer drops `async def` commands silently; this is the one place that runs them.
"""

import asyncio
import inspect
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from app.logs import configure_logs
from containers import Container, running
from domain import SYSTEM, acting_as

P = ParamSpec("P")
T = TypeVar("T")
Command = Callable[Concatenate[Container, P], Awaitable[int | None]]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Terminated(Exception):
    """SIGTERM ended the command."""


def container_command(application: typer.Typer, name: str) -> Callable[[Command[P]], Command[P]]:
    """Register an async function as a command. Its first parameter is the container, which isn't an option; what it
    returns is the exit code, None for done.
    """

    def register(function: Command[P]) -> Command[P]:
        signature = inspect.signature(function)
        options = list(signature.parameters.values())[1:]

        def command(context: typer.Context, **arguments: Any) -> int | None:
            _require_text(arguments)
            return run_to_its_end(_run(context.obj, function, arguments))

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


def run_to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, where SIGTERM cancels as SIGINT does: what is open is rolled back and closed. Raises `Terminated`
    then, as KeyboardInterrupt is raised for SIGINT.
    """
    told = False

    async def main() -> T:
        task = asyncio.current_task()

        def terminate() -> None:
            nonlocal told
            told = True
            if task is not None:
                task.cancel()

        if threading.current_thread() is not threading.main_thread():
            return await work  # signals are somebody else's
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, terminate)
        try:
            return await work
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if told:
            raise Terminated from None
        raise


def _require_text(arguments: dict[str, Any]) -> None:
    """Raises for bytes that are no UTF-8, which Python hides in surrogates: no database can be asked for them."""
    for name, value in arguments.items():
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            msg = f"'{name}' is not UTF-8 text"
            raise typer.BadParameter(msg)


async def _run(given: Container | None, function: Callable[..., Awaitable[int | None]], arguments: Any) -> int | None:
    async with running(given) as container:
        configure_logs(container.settings())
        with acting_as(SYSTEM):
            return await function(container, **arguments)
