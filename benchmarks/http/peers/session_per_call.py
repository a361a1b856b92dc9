"""A session, a ping and a commit for each DAO call: how services look that grew from one script to many."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from benchmarks.http.models import Account
from benchmarks.http.schemas import LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, sqlalchemy_url

engine = create_async_engine(sqlalchemy_url(), pool_size=POOL_SIZE, max_overflow=0, pool_pre_ping=True)
maker = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class AccountDao:
    async def get(self, id: int) -> Account | None:
        async with maker.begin() as session:
            return await session.scalar(select(Account).where(Account.id == id, Account.deleted_at.is_(None)))

    async def list(self, limit: int) -> Sequence[Account]:
        async with maker.begin() as session:
            order = (Account.created_at.desc(), Account.id.desc())
            found = select(Account).where(Account.deleted_at.is_(None)).order_by(*order).limit(limit)
            return (await session.scalars(found)).all()

    async def count(self) -> int:
        async with maker.begin() as session:
            counted = select(func.count()).select_from(Account).where(Account.deleted_at.is_(None))
            return await session.scalar(counted) or 0

    async def save(self, *accounts: Account) -> None:
        async with maker.begin() as session:
            for account in accounts:
                session.add(account)
                await session.flush()  # as DAOs do, whose callers want the id


dao = AccountDao()


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int) -> Any:
    account = await dao.get(id)
    if account is None:
        raise HTTPException(404)
    return account


@app.get("/accounts", response_model=AccountPage)
async def page(limit: int = LIMIT) -> Any:
    items, total = await dao.list(limit), await dao.count()
    return AccountPage(items=[AccountBody.model_validate(item) for item in items], total=total)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch) -> Any:
    account = await dao.get(id)
    if account is None:
        raise HTTPException(404)
    account.display_name = changes.display_name
    await dao.save(account)
    return account


@app.post("/pairs", status_code=201, response_model=list[AccountBody])
async def pair(new: Pair) -> Any:
    accounts = [Account(display_name=new.first), Account(display_name=new.second)]
    await dao.save(*accounts)
    return accounts
