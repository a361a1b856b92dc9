"""What a checker knows of a query."""

from typing import assert_type

from domain.models import Order
from unitwork import Database
from unitwork.dao import BaseDao


async def typed(database: Database) -> None:
    orders = BaseDao[Order](database.sessions, Order)
    assert_type(await orders.query().where(Order.customer == "Ada").all(), list[Order])
