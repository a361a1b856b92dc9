"""Count: rows, values, different values."""

from containers import Container
from tests.repositories.accounts import store_named


async def test_rows_values_and_different_values_are_counted(container: Container) -> None:
    await store_named(container, "a", "a", "b", None, None)
    count = container.user_dao().count()
    assert await count.rows() == 5
    assert await count.column("display_name") == 3
    assert await count.distinct("display_name") == 2
    assert await count.eq("display_name", "a").rows() == 2
    assert await count.eq("display_name", "a").distinct("display_name") == 1
    assert await count.eq("display_name", "nobody").rows() == 0
    assert await count.is_null("display_name").column("display_name") == 0
    assert [type(number) for number in (await count.rows(), await count.column("id"))] == [int, int]
