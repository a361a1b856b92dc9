"""RememberedError: what is kept of an exception beyond its handling.

A traceback keeps every frame that it names, with the frame's variables. A unit that kept the exception which doomed it
would keep the caller's frames, in one of these the generator its own block stands in, and would never be found
abandoned. So nothing of ours keeps an exception: it keeps one of these.
"""

import inspect
import types
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, cast
from weakref import ref

from unitwork.call_site import CallSite, call_site_in, is_machinery, shown

MAX_LINKS: Final = 16
"""Links of a chain, and exceptions inside others, that are kept."""
_OF_PYTHON: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: a class that a `class` statement has made."""
_FRAMES: Final = (
    *(types.TracebackType, types.FrameType, types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType),
    types.MethodType,
)
"""Values that lead to frames."""


_SUSPENDABLE: Final = (
    inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
)


class RememberedError:
    """An exception, without anything that leads to the frames it went through: tracebacks, its chain's included."""

    __slots__ = ("_bare", "_original")

    def __init__(
        self, error: BaseException, *, cause: BaseException | None = None, call_site: CallSite | str | None = None
    ) -> None:
        """`cause` will be its cause where none is set yet; `call_site` is the line to name in its note."""
        try:
            self._original: ref[BaseException] | None = ref(error)
        except TypeError:  # a class of Python's own
            self._original = None
        self._bare = without_frames(error)
        if cause is not None and self._bare.__cause__ is None and cause is not error:
            self._bare.__cause__ = without_frames(cause)
        call_site = call_site or call_site_in(error.__traceback__)
        if call_site is not None:
            self._bare.add_note(f"raised at {shown(call_site)}")

    def recall(self) -> BaseException:
        """Return the exception itself while somebody else keeps it; else its like: class, arguments, attributes, notes
        and chain are the same, and a note names the line it was raised at.
        """
        error = None if self._original is None else self._original()
        return self._bare if error is None else error


def let_go_of_frames(error: BaseException) -> None:
    """Have the finished frames of machinery that an exception has gone through forget their variables.

    One of these is often the exception itself: then it, and with it the caller's frames, would be kept until the
    garbage collector comes. The caller's own frames, and what is suspended, are left as they are.
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
                with suppress(RuntimeError):  # it is running
                    frame.clear()


def remembered(error: "BaseException | RememberedError") -> RememberedError:
    """Return what is to be kept of an error, of which that may have been made already."""
    return error if isinstance(error, RememberedError) else RememberedError(error)


def recalled(remembered: RememberedError | None) -> BaseException | None:
    """Return the exception that was remembered, if one was."""
    return None if remembered is None else remembered.recall()


def without_frames(error: BaseException) -> BaseException:
    """Return an exception of the same class, arguments, attributes and chain, without a traceback anywhere in it."""
    return _Copying().copied(error)


class _Copying:
    """One copy of an exception and of those it leads to, each once."""

    def __init__(self) -> None:
        self._copies: dict[int, BaseException] = {}
        self._originals: list[BaseException] = []
        """Kept meanwhile, as their ids are."""

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
            # Not by the class's own `__init__`, which may want other arguments, or do something.
            if isinstance(error, BaseExceptionGroup):
                inner = [self.copied(one) for one in error.exceptions[:MAX_LINKS]]
                copy: BaseException = cast("Any", BaseExceptionGroup).__new__(kind, error.message, inner)
            else:
                arguments = builtin.__reduce__(error)[1]
                copy = builtin.__new__(kind, *arguments)
                builtin.__init__(copy, *arguments)
                copy.args = tuple(self._values(error.args))
        except Exception:  # noqa: BLE001 - a class may forbid anything; of such a one its name is kept
            copy = Exception(kind.__qualname__)
        return copy

    def _values(self, values: Iterable[object]) -> list[object]:
        return [None if (kept := self._value(value)) is _DROPPED else kept for value in values]

    def _value(self, value: object) -> object:
        """`_DROPPED` for what leads to frames, so far as one look tells."""
        if isinstance(value, BaseException):
            return self.copied(value) if len(self._copies) < MAX_LINKS else type(value).__qualname__
        if isinstance(value, _FRAMES):
            return _DROPPED
        if type(value) in {list, tuple} and any(isinstance(one, (BaseException, *_FRAMES)) for one in value):  # type: ignore[attr-defined]  # a sequence
            return type(value)(self._values(value))  # type: ignore[call-arg, arg-type]  # as above
        return value


_DROPPED: Final = object()
