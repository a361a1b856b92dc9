"""Direct sending: send a statement with a plan through the driver, over a connection that a unit holds."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from unitwork.connections.compiled_statements import Answer, CompiledStatement, Sent
from unitwork.monitor.monitor import SqlMonitor
from unitwork.unit import Unit


async def send_directly(
    unit: Unit,
    pooled: PoolProxiedConnection,
    plan: CompiledStatement,
    values: Sequence[Any],
    monitor: SqlMonitor,
    fail: Callable[[str, Sent], None],
) -> Answer:
    """Return the answer, for `plan.read`. Sends BEGIN before a transaction's first statement.

    On an error, `fail` is called in a greenlet and must raise it as its typed error. The unit stays `executing` until
    the caller resets it.
    """
    unit.statement = plan.text
    sent = unit.executing = time.monotonic()
    try:
        if unit.transactional:
            driver: Any = pooled.driver_connection
            if not driver.is_in_transaction():
                adapter: Any = pooled.dbapi_connection
                await adapter._start_transaction()  # noqa: SLF001 - otherwise BEGIN is sent by SQLAlchemy's adapter only
                sent = time.monotonic()
        answer = await plan.send(pooled, values)
    except GeneratorExit:  # the event loop has ended: nothing can be awaited
        raise
    except BaseException as error:
        unit.executing = 0.0
        await greenlet_spawn(fail, plan.text, Sent(error, sent))
        raise  # not reached: `fail` has raised
    monitor.sent_directly(unit, plan.text, plan.dialect.name, sent, answer.matched)
    return answer
