"""Call sites: the line of the caller's code that opened a block, or that a statement was sent for."""

import asyncio
import contextlib
import os
import sys
from functools import lru_cache
from inspect import CO_ASYNC_GENERATOR
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

import greenlet
import sqlalchemy

_HERE: Final = f"{Path(__file__).parent}{os.sep}"
_DAOS: Final = tuple(f"{_HERE}{room}{os.sep}" for room in ("dao", "audit", f"testing{os.sep}fakes"))
_PACKAGES: Final = Path(sqlalchemy.__file__).parent.parent
_STANDARD: Final = str(Path(asyncio.__file__).parent.parent)
_ASYNCIO: Final = f"{Path(asyncio.__file__).parent}{os.sep}"
MACHINERY: Final = (_HERE, contextlib.__file__, _ASYNCIO)
"""File prefixes of code that opens blocks on behalf of its caller; never reported as a call site."""
_FRAMEWORKS: Final = tuple(
    f"{_PACKAGES / name}{os.sep}"
    for name in (
        *("aiosqlite", "anyio", "asyncmy", "asyncpg", "celery", "click", "fastapi", "greenlet", "kombu"),
        *("pydantic", "sqlalchemy", "stamina", "starlette", "tenacity", "typer", "uvicorn"),
    )
)
_LOOP: Final = frozenset({"_run", "_run_once", "run_forever", "run_until_complete", "run"})
"""Functions of asyncio's event loop that start a task's first step; a stack ends there."""

CallSite = tuple[str, int]
"""File and line."""
_CALLER, _MACHINERY, _DAO, _TASK = range(4)
"""Kinds of code."""
_kinds: dict[str, int] = {}
"""Cache: the kind of each file seen so far whose code is all of one kind."""
_dao_classes: dict[str, tuple[str, ...]] = {}
"""Qualified-name prefixes of the host's DAO classes, by file. Such a file may hold other code too, so each of its
functions is classified by its qualified name.
"""
MAX_FILES: Final = 10_000
MAX_FRAMES: Final = 8
"""Maximum number of frames kept of the stack that opened a block."""
MAX_SKIPPED_FRAMES: Final = 20
"""Maximum number of consecutive library and framework frames before the walk up the stack stops."""


def know_dao(dao: type) -> None:
    """Register a host's class as a DAO: its statements are attributed to its caller, the DAO's own line being `via`."""
    file = getattr(sys.modules.get(dao.__module__), "__file__", None)
    if file is not None and not file.startswith(_HERE):
        _dao_classes[file] = (*_dao_classes.get(file, ()), f"{dao.__qualname__}.")
        _kinds.pop(file, None)


def calling_site() -> str:
    """Return `file:line` of the nearest frame outside this library and the standard library: a service, an entrypoint,
    a script. If the task's stack has none, return its outermost frame outside asyncio, where the task begins.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files, and takes 1000 times as long
    kinds, outermost = _kinds, frame
    while True:
        code = frame.f_code
        file = code.co_filename
        kind = kinds.get(file)
        if kind is None:
            kind = _kind_of(code)
        if kind == _CALLER:
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
    """Return the running task's frames outside this library and known frameworks, innermost first. Frames of async
    generators are also appended to `generators`.
    """
    stack: list[CallSite] = []
    kinds, others = _kinds, 0
    frame = sys._getframe(1) if frame is None else frame  # noqa: SLF001 - as above
    while frame is not None and others < MAX_SKIPPED_FRAMES:
        code = frame.f_code
        kind = kinds.get(code.co_filename)
        if kind is None:
            kind = _kind_of(code)
        if kind == _CALLER:
            stack.append((code.co_filename, frame.f_lineno))
            if code.co_flags & CO_ASYNC_GENERATOR and generators is not None:
                generators.append(frame)
            if len(stack) == MAX_FRAMES:
                break
            others = 0
        elif kind == _TASK and code.co_name in _LOOP:
            break
        else:
            others += 1
        frame = frame.f_back
    return tuple(stack)


def asking_stack() -> tuple[CallSite, ...]:
    """Return `calling_stack` across greenlet boundaries, for code that SQLAlchemy calls."""
    stack = calling_stack()
    current = greenlet.getcurrent().parent
    while current is not None and len(stack) < MAX_FRAMES:
        stack += calling_stack(current.gr_frame)
        current = current.parent
    return stack[:MAX_FRAMES]


def asking(*, beyond_greenlet: bool = False) -> tuple[CallSite | None, CallSite | None]:
    """Return the call site a statement was sent for and, if a DAO sent it, the line in the DAO; both across greenlets.

    The call site is the nearest line outside this library and known frameworks. Takes some microseconds; fewer with
    `beyond_greenlet`, which skips the running greenlet because all of its frames are SQLAlchemy's.
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
                kind = _kind_of(code)
            if kind == _CALLER:
                return (code.co_filename, frame.f_lineno), via
            if kind == _DAO:
                # Keep the outermost DAO frame: for a loop in a host's DAO that is its own line, not the library's below
                # it.
                via = (code.co_filename, frame.f_lineno)
            elif kind == _TASK and code.co_name in _LOOP:
                return None, via
            frame = frame.f_back
        # A greenlet's outermost frame has no caller; the calling code waits in the parent greenlet.
        current = greenlet.getcurrent().parent if current is None else current.parent
        if current is None:
            return None, via
        frame = current.gr_frame


def asking_site() -> str | None:
    """Return `file:line` of the call site a statement was sent for; None if the task has none, as the one that ends a
    unit.
    """
    call_site, _ = asking()
    return None if call_site is None else f"{call_site[0]}:{call_site[1]}"


def awaiting_site(task: "asyncio.Task[Any]") -> CallSite | None:
    """Return the innermost line of a suspended task outside this library and known frameworks: the line that awaits."""
    found: CallSite | None = None
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = _attribute(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None and _kind_of(frame.f_code) == _CALLER:
            found = frame.f_code.co_filename, frame.f_lineno
        awaited = _attribute(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return found


def is_machinery(code: CodeType) -> bool:
    """True for code of this library, SQLAlchemy, a driver, asyncio or the standard library."""
    return _kind_of(code) in {_MACHINERY, _TASK} or code.co_filename.startswith(_HERE)


def call_site_in(traceback: TracebackType | None) -> CallSite | None:
    """Return the innermost line of a traceback outside this library and the frameworks, or None."""
    found: CallSite | None = None
    while traceback is not None:
        if _kind_of(traceback.tb_frame.f_code) == _CALLER:
            found = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return found


def shown(call_site: CallSite | str | None) -> str:
    """`file:line` for people, the file as it is called in its project."""
    if call_site is None:
        return "no line of yours"
    file, _, line = call_site.rpartition(":") if isinstance(call_site, str) else (call_site[0], ":", str(call_site[1]))
    return f"{_in_its_project(file, str(Path.cwd()))}:{line}"


@lru_cache(MAX_FILES)
def _in_its_project(file: str, folder: str) -> str:
    """Return the path relative to the folder the file was imported from, derived from its module's name; else to
    `folder`.
    """
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
    classes = _dao_classes.get(code.co_filename)
    if classes is None:
        return _kind(code.co_filename)
    return _DAO if code.co_qualname.startswith(classes) else _CALLER


def _kind(file: str) -> int:
    kind = _kinds.get(file)
    if kind is None:
        kind = _CALLER
        if file.startswith(_DAOS):
            kind = _DAO
        elif file.startswith(_ASYNCIO):
            kind = _TASK
        elif file.startswith((*MACHINERY, *_FRAMEWORKS, "<sqlalchemy", "<frozen")) or _standard(file):
            kind = _MACHINERY
        if len(_kinds) >= MAX_FILES:
            _kinds.clear()
        _kinds[file] = kind
    return kind


def _standard(file: str) -> bool:
    return file.startswith(_STANDARD) and "-packages" not in file
