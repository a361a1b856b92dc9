"""RememberedError: keep an exception after it was handled, without the frames that it went through.

A traceback refers to its frames, and they to their variables. If a unit kept the exception that doomed it, it would
keep the caller's frames alive, among them the generator that contains its own block, and would never be found
abandoned. So the library stores a `RememberedError` instead of an exception.
"""

import inspect
import types
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, cast
from weakref import ref

from unitwork.call_site import CallSite, call_site_in, is_machinery, shown

MAX_LINKS: Final = 16
"""Maximum number of exceptions kept of a chain, or of a group."""
_OF_PYTHON: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set for classes made by a `class` statement, unset for built-in ones."""
_FRAMES: Final = (
    *(types.TracebackType, types.FrameType, types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType),
    types.MethodType,
)
"""Types whose values refer to frames."""


_SUSPENDABLE: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
)


class RememberedError:
    """Copy of an exception and its chain without tracebacks, and a weak reference to the exception itself."""

    __slots__ = ("_bare", "_original")

    def __init__(
        self, error: BaseException, *, cause: BaseException | None = None, call_site: CallSite | str | None = None
    ) -> None:
        """Use `cause` if the exception has none; name the line `call_site` in a note, by default the raising one."""
        try:
            self._original: ref[BaseException] | None = ref(error)
        except TypeError:  # a built-in class without weak references
            self._original = None
        self._bare = without_frames(error)
        if cause is not None and self._bare.__cause__ is None and cause is not error:
            self._bare.__cause__ = without_frames(cause)
        call_site = call_site or call_site_in(error.__traceback__)
        if call_site is not None:
            self._bare.add_note(f"raised at {shown(call_site)}")

    def recall(self) -> BaseException:
        """Return the exception itself if it still exists, else a copy with the same class, arguments, attributes, notes
        and chain, and a note that names the line it was raised at.
        """
        error = None if self._original is None else self._original()
        return self._bare if error is None else error


def let_go_of_frames(error: BaseException) -> None:
    """Clear the variables of the finished library frames in an exception's tracebacks.

    One of these variables is often the exception itself, a cycle that would keep it and the caller's frames alive until
    the next garbage collection. The caller's own frames, and suspended ones, are left unchanged.
    """
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links and len(seen) < MAX_LINKS:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        links += (link.__context__, link.__cause__)
        traceback = link.__traceback__
        while traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if not frame.f_code.co_flags & _SUSPENDABLE and is_machinery(frame.f_code):
                with suppress(RuntimeError):  # the frame is running
                    frame.clear()


def remembered(error: "BaseException | RememberedError") -> RememberedError:
    """Return the error as a `RememberedError`."""
    return error if isinstance(error, RememberedError) else RememberedError(error)


def recalled(remembered: RememberedError | None) -> BaseException | None:
    """Return the remembered exception; None for None."""
    return None if remembered is None else remembered.recall()


def without_frames(error: BaseException) -> BaseException:
    """Return a copy with the same class, arguments, attributes and chain, without tracebacks."""
    return _Copying().copied(error)


class _Copying:
    """Copier of an exception and those it refers to, each copied once."""

    def __init__(self) -> None:
        self._copies: dict[int, BaseException] = {}
        self._originals: list[BaseException] = []
        """Kept so that their ids stay valid as keys."""

    def copied(self, error: BaseException) -> BaseException:
        known = self._copies.get(id(error))
        if known is not None:
            return known
        copy = self._bare(error)
        self._copies[id(error)] = copy
        self._originals.append(error)
        for name, value in vars(error).items():
            kept = self._value(value)
            if kept is not _DROPPED:
                copy.__dict__[name] = kept
        if len(self._copies) < MAX_LINKS:
            copy.__cause__ = None if error.__cause__ is None else self.copied(error.__cause__)
            copy.__context__ = None if error.__context__ is None else self.copied(error.__context__)
        copy.__suppress_context__ = error.__suppress_context__
        return copy

    def _bare(self, error: BaseException) -> BaseException:
        kind = type(error)
        builtin: Any = next(base for base in kind.__mro__ if not base.__flags__ & _OF_PYTHON)
        try:
            # Without the class's own `__init__`, which may need other arguments or have side effects.
            if isinstance(error, BaseExceptionGroup):
                inner = [self.copied(one) for one in error.exceptions[:MAX_LINKS]]
                copy: BaseException = cast("Any", BaseExceptionGroup).__new__(kind, error.message, inner)
            else:
                arguments = builtin.__reduce__(error)[1]
                copy = builtin.__new__(kind, *arguments)
                builtin.__init__(copy, *arguments)
                copy.args = tuple(self._values(error.args))
        except Exception:  # noqa: BLE001 - a class may refuse to be copied in any way; then its name is kept
            copy = Exception(kind.__qualname__)
        return copy

    def _values(self, values: Iterable[object]) -> list[object]:
        return [None if (kept := self._value(value)) is _DROPPED else kept for value in values]

    def _value(self, value: object) -> object:
        """Return the value to keep; `_DROPPED` if it refers to frames. Looks into lists and tuples, one level deep."""
        if isinstance(value, BaseException):
            return self.copied(value) if len(self._copies) < MAX_LINKS else type(value).__qualname__
        if isinstance(value, _FRAMES):
            return _DROPPED
        if type(value) in {list, tuple} and any(isinstance(one, (BaseException, *_FRAMES)) for one in value):  # type: ignore[attr-defined]  # a sequence
            return type(value)(self._values(value))  # type: ignore[call-arg, arg-type]  # as above
        return value


_DROPPED: Final = object()
