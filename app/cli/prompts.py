"""Asking the person, so that the first Ctrl-C ends the command.

A command's signals are collected for its event loop (`app.cli.signals`), which doesn't turn while the terminal is read.
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
    """For the length of the block SIGINT and SIGTERM are raised at once, as `typer.Abort` and `Terminated`."""
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
        print(file=sys.stderr)  # the line of the question
        raise typer.Abort from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def secret(question: str, *, twice: bool = False) -> str:
    """Read a password without echo; a line of stdin where that is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    with asking():
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))


def confirm(question: str) -> None:
    """Raises `typer.Abort` unless the person says yes. Asks nothing where stdin is no terminal."""
    if sys.stdin.isatty():
        with asking():
            typer.confirm(question, abort=True, err=True)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
