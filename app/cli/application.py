"""main: the command line as a whole, and its handling of errors.

Imports little, so that `gatehouse --help` and shell completion start fast. A command's module is imported when the
command is chosen.
"""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from app.cli.errors import Terminated
from app.cli.exit_codes import ExitCode
from app.cli.interrupts import interrupts_kept
from app.cli.menu import Menu

application = typer.Typer(
    name="gatehouse",
    cls=Menu,
    help="The accounts service: server, worker, accounts, tokens, messages, schema.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"gatehouse {_version()}")
        raise typer.Exit


@application.callback()
def group(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and stop.")
    ] = False,
) -> None:
    """The accounts service: server, worker, accounts, tokens, messages, schema."""


def main(arguments: Sequence[str] | None = None, *, container: object | None = None) -> int:
    """Run one command and return its exit code. `arguments` are `sys.argv`'s by default; `container`, a `Container`,
    is for tests and programs that override parts of the graph. Raises nothing: an error is one line on stderr.
    """
    command = get_command(application)
    threading.excepthook = _thread_failed
    try:
        with interrupts_kept():
            code = command.main(
                args=None if arguments is None else list(arguments),
                prog_name="gatehouse",
                standalone_mode=False,
                obj=container,
            )
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show is None:
            _say(str(error))
        else:
            show(file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except Terminated:
        _say("terminated")
        return ExitCode.TERMINATED
    except SystemExit:
        # Typer's exit on a broken pipe: the reader of our output has closed it, so there is nothing to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        _say(f"{error.filename or 'the system'}: {(error.strerror or type(error).__name__).lower()}")
        return ExitCode.FAILED
    except Exception as error:
        if _expected(error):
            _say(str(error))
            return ExitCode.FAILED
        if os.environ.get("GATEHOUSE_DEBUG"):
            raise
        _say(f"unexpected {type(error).__name__}; set GATEHOUSE_DEBUG=1 to see where it comes from")
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Log errors of library threads at DEBUG only: such a thread outlived the work that was waiting for it. Threads of
    SQLite's driver report none (`unitwork.backends.sqlite_thread`).
    """
    kind = failure.exc_type.__name__
    logging.getLogger("gatehouse.cli").debug("a thread ended with %s", kind, exc_info=failure.exc_value)


def _expected(error: Exception) -> bool:
    """True when the error's text suffices for the user, without a traceback."""
    # Imported here, so that --help doesn't wait for it (docs/decisions/0045); a raised error's module is loaded.
    from app.cli.database_file import NoDatabaseFile  # noqa: PLC0415 - only a command that failed needs it, and each import delays every start
    from app.cli.listening import AddressUnusable  # noqa: PLC0415 - only a command that failed needs it, and each import delays every start
    from domain.errors import DomainError  # noqa: PLC0415 - as above
    from services.csv.errors import CsvError  # noqa: PLC0415 - as above
    from settings.errors import SettingsError  # noqa: PLC0415 - as above
    from unitwork.errors import UnitworkError  # noqa: PLC0415 - as above

    expected = (UnitworkError, DomainError, CsvError, SettingsError, NoDatabaseFile, AddressUnusable)
    return isinstance(error, expected)


def _say(text: str) -> None:
    from settings.database import as_variables  # noqa: PLC0415 - only a command that failed needs it

    print(f"error: {as_variables(text)}", file=sys.stderr)


def _version() -> str:
    """Return the installed version; `unknown` in a tree that was copied and never installed."""
    from importlib import metadata  # noqa: PLC0415 - only --version needs it, and each import delays every start

    try:
        return metadata.version("gatehouse-accounts")
    except metadata.PackageNotFoundError:
        return "unknown"
