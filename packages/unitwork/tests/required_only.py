"""With the required packages alone every façade is imported, and a database whose driver is missing names its extra."""

import asyncio
import importlib
import sys
from importlib.util import find_spec
from typing import Final

from unitwork import Database
from unitwork.errors import DriverNotInstalled

FACADES: Final = ("audit", "dao", "errors", "models", "monitor", "testing", "testing.fakes")
EXTRAS: Final = {
    "postgresql": ("asyncpg", "postgresql://localhost/shop"),
    "sqlite": ("aiosqlite", "sqlite:///shop.db"),
    "mysql": ("asyncmy", "mysql://localhost/shop"),
    "oracle": ("oracledb", "oracle://localhost/shop"),
}
OTHERS: Final = ("alembic", "prometheus_client", "opentelemetry", "pytest", "pydantic", "fastapi", "redis")


async def missing(url: str) -> str:
    """What opening a database says."""
    try:
        async with Database(url):
            return ""
    except DriverNotInstalled as error:
        return str(error)


def main() -> int:
    """The number of drivers that are told wrongly; raises ImportError for a façade that needs more."""
    for facade in FACADES:
        importlib.import_module(f"unitwork.{facade}")
    imported = sorted({name for name in OTHERS if name in sys.modules})
    wrong = len(imported)
    for extra, (driver, url) in EXTRAS.items():
        told = asyncio.run(missing(url)) if find_spec(driver) is None else f"unitwork[{extra}]"
        if f"unitwork[{extra}]" not in told:
            print(f"{url}: {told or 'opened'}")
            wrong += 1
    print(f"imported without being asked for: {', '.join(imported) or 'nothing'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
