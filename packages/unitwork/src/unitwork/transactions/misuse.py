"""Misuse: common mistakes for `async with transaction() as tx:`, each raising a TypeError that says what to write.

Python looks these methods up on the class; without them its error would only name the missing protocol.
"""

from typing import ClassVar, NoReturn


class CalledFirst:
    """Mixin for providers, which must be called first: only the result can be entered."""

    called: ClassVar[str] = "provider"
    """Usual name of its variables."""

    async def __aenter__(self) -> NoReturn:
        raise TypeError(self._instead())

    async def __aexit__(self, *_: object) -> None:
        """Never runs; Python looks it up before it calls `__aenter__`."""

    def __enter__(self) -> NoReturn:
        raise TypeError(self._instead())

    def __exit__(self, *_: object) -> None:
        """Never runs, as `__enter__` raises."""

    def __await__(self) -> NoReturn:
        raise TypeError(self._instead())

    def _instead(self) -> str:
        return (
            f"a {type(self).__name__} is no block yet; call it: `{self.called} = container.{self.called}()`, then "
            f"`async with {self.called}():`."
        )


class EnteredByAsyncWith:
    """Mixin for blocks, which only `async with` enters and ends."""

    def __enter__(self) -> NoReturn:
        raise TypeError(_ASYNC_WITH)

    def __exit__(self, *_: object) -> None:
        """Never runs, as `__enter__` raises."""

    def __await__(self) -> NoReturn:
        raise TypeError(_ASYNC_WITH)


_ASYNC_WITH = (
    "this is a block, which is neither awaited nor entered by a plain `with`; write `async with`, such as: "
    "`async with transaction() as tx:`."
)


class EndedByItsBlock:
    """Mixin for transactions: they are ended by their block, and statements are sent by their session."""

    def commit(self) -> NoReturn:
        """Raise TypeError: leaving the block commits."""
        msg = "a block commits when it is left normally, and not before; leave out `commit()`, and end the block."
        raise TypeError(msg)

    def rollback(self) -> NoReturn:
        """Raise TypeError: an exception that leaves the block rolls back, and so does `set_rollback_only()`."""
        msg = (
            "a block rolls back when an exception leaves it; raise one, or call `tx.set_rollback_only()` instead of "
            "`rollback()`."
        )
        raise TypeError(msg)

    def close(self) -> NoReturn:
        """Raise TypeError: leaving the block closes."""
        msg = "a block closes what it has opened when it is left; leave out `close()`, and end the block."
        raise TypeError(msg)
