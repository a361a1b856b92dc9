"""budget: limit the number and total time of statements that a block, a route or a task sends.

With `budgets="raise"` (as in the test kit's options) exceeding it is an error, otherwise a warning in the log and a
count in the metrics.
"""

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from unitwork.call_site import asking, shown
from unitwork.monitor.work import Work, work

P = ParamSpec("P")
T = TypeVar("T")


class BudgetExceeded(AssertionError):
    """Raised when a block exceeds its budget; `name` is the block's, `reason` the limit that was exceeded."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(name, reason)

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}. Load what is needed in fewer statements, or give it a larger budget."


class budget:  # noqa: N801 - used as a statement: `with budget(queries=3):`, `@budget(queries=3)`
    """Limit a block or a decorated function to `queries` statements, and to `ms` milliseconds in all of them.

    Raises `BudgetExceeded` when the block ends normally, if budgets are configured to raise; it never replaces an
    exception of the block. A decorated function may run in any number of tasks, a block in one task at a time.
    """

    def __init__(self, *, queries: int | None = None, ms: float | None = None, name: str | None = None) -> None:
        if queries is None and ms is None:
            msg = "budget needs queries= or ms=, or both"
            raise TypeError(msg)
        self.queries = queries
        self.ms = ms
        self.name = name

    def __enter__(self) -> Work:
        # `__call__` enters a copy for each call of a decorated function, so that the name is per call.
        name = self.name
        if name is None:
            call_site, via = asking()
            name = shown(call_site or via)
        self._block = work(name)
        self._work = self._block.__enter__()
        return self._work

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, traceback)
        spent = self._work
        if kind is not None or spent.judge is None:
            return
        reasons = []
        if self.queries is not None and spent.statements > self.queries:
            reasons.append(f"{spent.statements} statements, {self.queries} allowed")
        if self.ms is not None and spent.in_sql * 1000 > self.ms:
            reasons.append(f"{spent.in_sql * 1000:.1f} ms in SQL, {self.ms:g} ms allowed")
        if reasons:
            spent.judge.over_budget(spent.name, "; ".join(reasons))

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        name = self.name or function.__qualname__

        def own() -> "budget":
            return budget(queries=self.queries, ms=self.ms, name=name)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*arguments: P.args, **options: P.kwargs) -> Any:
                with own():
                    return await function(*arguments, **options)

            return awaited  # type: ignore[return-value]  # T is a coroutine

        @functools.wraps(function)
        def called(*arguments: P.args, **options: P.kwargs) -> T:
            with own():
                return function(*arguments, **options)

        return called
