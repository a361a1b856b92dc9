"""main: the command line as a whole, and what becomes of errors."""

import os
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from app.cli import config, db, demo, outbox, serve, tokens, users, worker
from app.cli.command import Terminated
from app.cli.exit_codes import ExitCode
from containers import Container
from database.errors import DatabaseError
from domain.errors import DomainError
from repositories.errors import RepositoryError
from services.csv_errors import CsvError
from settings import SettingsError

EXPECTED = (DatabaseError, DomainError, RepositoryError, CsvError, SettingsError)
"""Errors that say all there is to say in one line."""

application = typer.Typer(
    name="gatehouse", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
application.info.help = "The accounts service: server, worker, accounts, tokens, messages, schema."
application.add_typer(users.application, name="users")
application.add_typer(tokens.application, name="tokens")
application.add_typer(db.application, name="db")
application.add_typer(demo.application, name="demo")
application.add_typer(config.application, name="config")
application.add_typer(outbox.application, name="outbox")
worker.register(application)
application.command("serve")(serve.serve)


def main(arguments: Sequence[str] | None = None, *, container: Container | None = None) -> int:
    """Run one command and return its exit code. `arguments` are `sys.argv`'s by default; `container` is for tests
    and programs that override parts of the graph. Raises nothing: an error is one line on stderr.
    """
    command = get_command(application)
    try:
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
    except EXPECTED as error:
        _say(str(error))
        return ExitCode.FAILED
    except SystemExit:
        # How Typer ends on a broken pipe: whoever read our output has seen enough, nothing is left to tell them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        _say(f"{error.filename or 'the system'}: {(error.strerror or type(error).__name__).lower()}")
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get("GATEHOUSE_DEBUG"):
            raise
        _say(f"unexpected {type(error).__name__}; set GATEHOUSE_DEBUG=1 to see where it comes from")
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.DONE


def _say(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
