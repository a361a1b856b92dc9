"""The monitor: what every session of a container does, as it does it.

`sql_monitor` is the container's (`SqlMonitor`); `budget` limits what a block, a route or a task may send. Recorded are
texts without their literals, times, counts and lines of code; never a value.
"""

from unitwork.monitor.budget import BudgetExceeded, budget
from unitwork.monitor.feed import picture
from unitwork.monitor.monitor import SqlMonitor
from unitwork.monitor.work import work

__all__ = ["BudgetExceeded", "SqlMonitor", "budget", "picture", "work"]
