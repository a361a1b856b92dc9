"""What people type instead of `async with transaction() as tx:`, each answered by a TypeError that says what to write.

Python looks these methods up in the class, and would say of an object without them only what protocol it lacks.
"""

from typing import ClassVar, NoReturn


class CalledFirst:
    """Of providers: what is entered is what a call of it gives."""

    called: ClassVar[str] = "provider"
    """What its variables are usually called."""

    async def __aenter__(self) -> NoReturn:
        raise TypeError(self._instead())

    async def __aexit__(self, *_: object) -> None:
        """Never reached; Python asks for it before it enters."""

    def __enter__(self) -> NoReturn:
        raise TypeError(self._instead())

    def __exit__(self, *_: object) -> None:
        """As above."""

    def __await__(self) -> NoReturn:
        raise TypeError(self._instead())

    def _instead(self) -> str:
        return (
            f"a {type(self).__name__} is no block yet; call it: `{self.called} = container.{self.called}()`, then "
            f"`async with {self.called}():`."
        )


class EnteredByAsyncWith:
    """Of blocks: nothing else enters or ends them."""

    def __enter__(self) -> NoReturn:
        raise TypeError(_ASYNC_WITH)

    def __exit__(self, *_: object) -> None:
        """As above."""

    def __await__(self) -> NoReturn:
        raise TypeError(_ASYNC_WITH)


_ASYNC_WITH = (
    "this is a block, which is neither awaited nor entered by a plain `with`; write `async with`, such as: "
    "`async with transaction() as tx:`."
)


class EndedByItsBlock:
    """Of transactions: their end is their block's, and statements are their session's."""

    def commit(self) -> NoReturn:
        """Raises TypeError: leaving the block commits."""
        msg = "a block commits when it is left normally, and not before; leave out `commit()`, and end the block."
        raise TypeError(msg)

    def rollback(self) -> NoReturn:
        """Raises TypeError: an exception that leaves the block rolls back, and so does `set_rollback_only()`."""
        msg = (
            "a block rolls back when an exception leaves it; raise one, or call `tx.set_rollback_only()` instead of "
            "`rollback()`."
        )
        raise TypeError(msg)

    def close(self) -> NoReturn:
        """Raises TypeError: leaving the block closes."""
        msg = "a block closes what it has opened when it is left; leave out `close()`, and end the block."
        raise TypeError(msg)
