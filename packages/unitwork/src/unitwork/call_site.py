"""Places: the line of the caller's code that opened a block, or that a statement was sent for."""

import asyncio
import contextlib
import os
import sys
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import greenlet
import sqlalchemy

_HERE: Final = f"{Path(__file__).parent}{os.sep}"
_DAOS: Final = tuple(f"{_HERE}{room}{os.sep}" for room in ("dao", "audit", f"testing{os.sep}fakes"))
_PACKAGES: Final = Path(sqlalchemy.__file__).parent.parent
_STANDARD: Final = str(Path(asyncio.__file__).parent.parent)
_ASYNCIO: Final = f"{Path(asyncio.__file__).parent}{os.sep}"
MACHINERY: Final = (_HERE, contextlib.__file__, _ASYNCIO)
"""Where files stand that open blocks for others."""
_FRAMEWORKS: Final = tuple(
    f"{_PACKAGES / name}{os.sep}"
    for name in (
        *("aiosqlite", "anyio", "asyncmy", "asyncpg", "celery", "click", "fastapi", "greenlet", "kombu"),
        *("pydantic", "sqlalchemy", "stamina", "starlette", "tenacity", "typer", "uvicorn"),
    )
)
_LOOP: Final = frozenset({"_run", "_run_once", "run_forever", "run_until_complete", "run"})
"""Functions of asyncio below which nothing called anything: a task begins there."""

CallSite = tuple[str, int]
"""File and line."""
_PLACE, _MACHINE, _DAO, _TASK, _MIXED = range(5)
"""A mixed file has DAOs and other code: its functions are told apart by their names."""
_kinds: dict[str, int] = {}
"""What each file is, once it has been asked."""
_dao_classes: dict[str, tuple[str, ...]] = {}
"""How the names of functions begin that a host's DAOs have, by file."""
MOST_FILES: Final = 10_000
DEEPEST: Final = 8
"""Frames of an opening stack that are kept."""
MOST_OTHERS: Final = 20
"""Frames of machinery and frameworks in a row, after which an opening stack is looked at no further."""


def know_dao(dao: type) -> None:
    """Take a host's class for a DAO: a statement that it sends is its caller's, by way of the DAO's own line."""
    file = getattr(sys.modules.get(dao.__module__), "__file__", None)
    if file is not None and not file.startswith(_HERE):
        _dao_classes[file] = (*_dao_classes.get(file, ()), f"{dao.__qualname__}.")
        _kinds.pop(file, None)


def calling_site() -> str:
    """`file:line` of the nearest frame that isn't machinery: a service, an entrypoint, a script. In a task that begins
    with machinery, the line of that where the task begins.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files, and takes 1000 times as long
    kinds, outermost = _kinds, frame
    while True:
        code = frame.f_code
        file = code.co_filename
        kind = kinds.get(file)
        if kind is None:
            kind = _kind(file)
        if kind == _MIXED:
            kind = _kind_in_mixed(code)
        if kind == _PLACE:
            return f"{file}:{frame.f_lineno}"
        if kind != _TASK:
            outermost = frame
        elif code.co_name in _LOOP:
            break
        if frame.f_back is None:
            break
        frame = frame.f_back
    return f"{outermost.f_code.co_filename}:{outermost.f_lineno}"


def calling_stack(frame: FrameType | None = None, generators: list[FrameType] | None = None) -> tuple[CallSite, ...]:
    """The frames of the running task that are neither machinery nor a framework's, innermost first. Those of them that
    are async generators' are added to `generators`.
    """
    stack: list[CallSite] = []
    kinds, others = _kinds, 0
    frame = sys._getframe(1) if frame is None else frame  # noqa: SLF001 - as above
    while frame is not None and others < MOST_OTHERS:
        code = frame.f_code
        kind = kinds.get(code.co_filename)
        if kind is None:
            kind = _kind(code.co_filename)
        if kind == _MIXED:
            kind = _kind_in_mixed(code)
        if kind == _PLACE:
            stack.append((code.co_filename, frame.f_lineno))
            if code.co_flags & CO_ASYNC_GENERATOR and generators is not None:
                generators.append(frame)
            if len(stack) == DEEPEST:
                break
            others = 0
        elif kind == _TASK and code.co_name in _LOOP:
            break
        else:
            others += 1
        frame = frame.f_back
    return tuple(stack)


def asking_stack() -> tuple[CallSite, ...]:
    """`calling_stack` for code that reaches us through SQLAlchemy, across greenlets."""
    stack = calling_stack()
    current = greenlet.getcurrent().parent
    while current is not None and len(stack) < DEEPEST:
        stack += calling_stack(current.gr_frame)
        current = current.parent
    return stack[:DEEPEST]


def asking(*, beyond_greenlet: bool = False) -> tuple[CallSite | None, CallSite | None]:
    """Whom a statement that reaches us through SQLAlchemy is sent for, across greenlets: the nearest line that is
    neither machinery nor a framework's, and, if a DAO came first, the line of the DAO. Costs some microseconds, and
    fewer `beyond_greenlet`: where the running greenlet is SQLAlchemy's own, and so are its frames.
    """
    via: CallSite | None = None
    kinds = _kinds
    current: greenlet.greenlet | None = greenlet.getcurrent().parent if beyond_greenlet else None
    frame: FrameType | None = sys._getframe(1) if current is None else current.gr_frame  # noqa: SLF001 - as above
    while True:
        while frame is not None:
            code = frame.f_code
            kind = kinds.get(code.co_filename)
            if kind is None:
                kind = _kind(code.co_filename)
            if kind == _MIXED:
                kind = _kind_in_mixed(code)
            if kind == _PLACE:
                return (code.co_filename, frame.f_lineno), via
            if kind == _DAO:
                # The outermost of them: a loop in a DAO is its own line, not the machinery's below it.
                via = (code.co_filename, frame.f_lineno)
            elif kind == _TASK and code.co_name in _LOOP:
                return None, via
            frame = frame.f_back
        # A greenlet's outermost frame has no caller: that one waits in the parent.
        current = greenlet.getcurrent().parent if current is None else current.parent
        if current is None:
            return None, via
        frame = current.gr_frame


def asking_site() -> str | None:
    """`file:line` of the nearest frame that isn't machinery; None when the task has no such frame, as the one that
    ends a unit.
    """
    call_site, _ = asking()
    return None if call_site is None else f"{call_site[0]}:{call_site[1]}"


def awaiting_site(task: "asyncio.Task[Any]") -> CallSite | None:
    """The innermost line of a suspended task that is neither machinery nor a framework's: where it awaits."""
    found: CallSite | None = None
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = _attribute(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None and _kind_of(frame.f_code) == _PLACE:
            found = frame.f_code.co_filename, frame.f_lineno
        awaited = _attribute(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return found


def shown(call_site: CallSite | str | None) -> str:
    """`file:line` for people, the file as it is called in its project."""
    if call_site is None:
        return "no line of yours"
    file, _, line = call_site.rpartition(":") if isinstance(call_site, str) else (call_site[0], ":", str(call_site[1]))
    return f"{_in_its_project(file, str(Path.cwd()))}:{line}"


@lru_cache(MOST_FILES)
def _in_its_project(file: str, folder: str) -> str:
    """Below the folder that the file was imported from, which is told by its module's name; else below `folder`."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__dict__", {}).get("__file__") == file:
            path = os.path.join(*name.split("."))  # noqa: PTH118 - a name is compared, no file is looked at
            for whole in (f"{path}.py", os.path.join(path, "__init__.py")):  # noqa: PTH118 - likewise
                if file.endswith(f"{os.sep}{whole}"):
                    return whole
    return file.removeprefix(f"{folder}{os.sep}")


def _attribute(of: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(of, name, None)) is not None), None)


def _kind_of(code: CodeType) -> int:
    kind = _kind(code.co_filename)
    return _kind_in_mixed(code) if kind == _MIXED else kind


def _kind_in_mixed(code: CodeType) -> int:
    return _DAO if code.co_qualname.startswith(_dao_classes[code.co_filename]) else _PLACE


def _kind(file: str) -> int:
    kind = _kinds.get(file)
    if kind is None:
        kind = _PLACE
        if file.startswith(_DAOS):
            kind = _DAO
        elif file in _dao_classes:
            kind = _MIXED
        elif file.startswith(_ASYNCIO):
            kind = _TASK
        elif file.startswith((*MACHINERY, *_FRAMEWORKS, "<sqlalchemy", "<frozen")) or _standard(file):
            kind = _MACHINE
        if len(_kinds) >= MOST_FILES:
            _kinds.clear()
        _kinds[file] = kind
    return kind


def _standard(file: str) -> bool:
    return file.startswith(_STANDARD) and "-packages" not in file
