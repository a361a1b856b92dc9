"""Ourselves: a DAO and a service over the container, every guard on."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from dependency_injector import providers
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.long_lived import long_lived
from benchmarks.http.schemas import DATABASE_URL, LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch
from containers import Container as Gatehouse
from containers import running
from settings import Settings
from unitwork import TransactionProvider
from unitwork.dao import BaseDao, Page
from unitwork.models import SYSTEM, Base, ModelMixin, acting_as


class Account(ModelMixin, Base):
    __tablename__ = "accounts"

    email: Mapped[str | None] = mapped_column(String(254))
    display_name: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16), default="user")
    status: Mapped[str] = mapped_column(String(16), default="active")


class AccountDao(BaseDao[Account]):
    """Accounts, without an audit trail, as the peers have none."""


class AccountService:
    def __init__(self, transaction: TransactionProvider, accounts: AccountDao) -> None:
        self._transaction = transaction
        self._accounts = accounts

    async def get(self, id: int) -> Account | None:
        return await self._accounts.get_or_none(id)

    async def page(self, limit: int) -> Page[Account]:
        return await self._accounts.query().order_by("-created_at", "-id").page(1, limit)

    async def rename(self, id: int, name: str) -> Account | None:
        changed = await self._accounts.update().eq("id", id).set(display_name=name).returning()
        return changed[0] if changed else None

    async def pair(self, first: str, second: str) -> list[Account]:
        async with self._transaction(name="pair"):
            return [await self._accounts.add(Account(display_name=name)) for name in (first, second)]


class Container(Gatehouse):
    account_dao = providers.Factory(AccountDao, Gatehouse.session_provider)
    account_service = providers.Factory(AccountService, Gatehouse.transaction, account_dao)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = {"url": DATABASE_URL, "pool_size": POOL_SIZE, "max_overflow": 0}
    settings = Settings(database=database, node_id=os.getpid() % 1024)  # two processes make no two ids alike
    async with running(Container(settings=settings)) as app.state.container:
        with long_lived():  # as `gatehouse serve` does
            yield


async def account_service(request: Request) -> AccountService:
    service: AccountService = request.app.state.container.account_service()
    return service


ServiceDep = Annotated[AccountService, Depends(account_service)]
app = FastAPI(lifespan=lifespan)


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int, accounts: ServiceDep) -> Any:
    account = await accounts.get(id)
    if account is None:
        raise HTTPException(404)
    return account


@app.get("/accounts", response_model=AccountPage)
async def page(accounts: ServiceDep, limit: int = LIMIT) -> Any:
    return await accounts.page(limit)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch, accounts: ServiceDep) -> Any:
    with acting_as(SYSTEM):
        account = await accounts.rename(id, changes.display_name)
    if account is None:
        raise HTTPException(404)
    return account


@app.post("/pairs", status_code=201, response_model=list[AccountBody])
async def pair(new: Pair, accounts: ServiceDep) -> Any:
    with acting_as(SYSTEM):
        return await accounts.pair(new.first, new.second)
