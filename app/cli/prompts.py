"""Prompts that the first Ctrl-C ends.

A command's signals are handled by its event loop (`app.cli.signals`), which doesn't run while the terminal is read.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from app.cli.errors import Terminated


@contextmanager
def asking() -> Iterator[None]:
    """Raise `typer.Abort` for SIGINT and `Terminated` for SIGTERM at once, for the length of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, _terminate))
    }
    try:
        yield
    except KeyboardInterrupt:
        print(file=sys.stderr)  # ends the line of the prompt
        raise typer.Abort from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def secret(question: str, *, twice: bool = False) -> str:
    """Read a password without echo; a line of stdin if that isn't a terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    with asking():
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


def confirm(question: str) -> None:
    """Prompt for confirmation; raise `typer.Abort` unless it is given. Does nothing if stdin isn't a terminal."""
    if sys.stdin.isatty():
        with asking():
            typer.confirm(question, abort=True, err=True)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
