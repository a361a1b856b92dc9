"""A program of this project: an order with a line, and one that is rolled back."""

import asyncio
import sys

from app.opening import open_database
from domain.models import Line, Order
from unitwork.dao import BaseDao


class OrderDao(BaseDao[Order]): ...


class LineDao(BaseDao[Line]): ...


async def main(url: str) -> None:
    async with open_database(url) as database:
        orders, lines = OrderDao(database.sessions), LineDao(database.sessions)
        async with database.transaction():
            order = await orders.add(Order(customer="Ada"))
            await lines.add(Line(order_id=order.id, number=1, article="engine"))
        try:
            async with database.transaction():
                await orders.add(Order(customer="nobody"))
                raise InterruptedError
        except InterruptedError:
            pass
        assert (await orders.get(order.id)).customer == "Ada"
        assert (await lines.get((order.id, 1))).article == "engine"
        print(await orders.count().rows(), "order")


asyncio.run(main(sys.argv[1]))
