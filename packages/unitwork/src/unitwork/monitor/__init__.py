"""The monitor: statistics and findings about a container's sessions while they run.

`sql_monitor` is the container's (`SqlMonitor`); `budget` limits the statements of a block, a route or a task. It
records texts without their literals, durations, counts and lines of code; never a value.
"""

from unitwork.monitor.budget import BudgetExceeded, budget
from unitwork.monitor.feed import picture
from unitwork.monitor.monitor import SqlMonitor
from unitwork.monitor.repeated_lines import RepeatedLines
from unitwork.monitor.work import work

__all__ = ["BudgetExceeded", "RepeatedLines", "SqlMonitor", "budget", "picture", "work"]
