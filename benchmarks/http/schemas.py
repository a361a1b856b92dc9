"""What all peers receive and send. Pydantic alone, as every environment has it."""

import itertools
import os
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

DATABASE_URL: Final = os.environ.get("DATABASE_URL", "")
"""`postgresql://…`, of a database with the table `accounts`."""
POOL_SIZE: Final = int(os.environ.get("POOL_SIZE", "16"))
LIMIT: Final = 50

next_id = itertools.count((os.getpid() << 32) + 1).__next__
"""Ids for new rows. Ours has its own generator."""


def sqlalchemy_url() -> str:
    """The same database, by SQLAlchemy's name of the driver."""
    return DATABASE_URL.replace("postgresql:", "postgresql+asyncpg:", 1)


class AccountBody(BaseModel):
    model_config = ConfigDict(from_attributes=True, coerce_numbers_to_str=True)

    id: str
    email: str | None
    display_name: str | None
    role: str
    status: str
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    deleted_at: datetime | None


class AccountPage(BaseModel):
    items: list[AccountBody]
    total: int


class Patch(BaseModel):
    display_name: str


class Pair(BaseModel):
    first: str
    second: str
