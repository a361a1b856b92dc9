"""Data access objects: read and write one model, with builders that compose the statements step by step.

Here: `BaseDao`, its builders, pages and cursors, advisory locks. Elsewhere: when work is committed (`unitwork`), and
the mixins of mapped models (`unitwork.models`).
"""

from unitwork.dao.advisory_locks import AdvisoryLocks
from unitwork.dao.base_dao import BaseDao, check_version
from unitwork.dao.builders.conditions import Conditions
from unitwork.dao.builders.count import Count
from unitwork.dao.builders.delete import Delete
from unitwork.dao.builders.query import Query
from unitwork.dao.builders.update import Update
from unitwork.dao.cursor import Cursors
from unitwork.dao.pagination import Page, Slice
from unitwork.dao.planning import plan_anew

__all__ = [
    "AdvisoryLocks",
    "BaseDao",
    "Conditions",
    "Count",
    "Cursors",
    "Delete",
    "Page",
    "Query",
    "Slice",
    "Update",
    "check_version",
    "plan_anew",
]
