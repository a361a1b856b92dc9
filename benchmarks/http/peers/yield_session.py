"""FastAPI and SQLAlchemy as the tutorials have it: a session from a `yield` dependency."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.http.models import Account
from benchmarks.http.schemas import LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, sqlalchemy_url

engine = create_async_engine(sqlalchemy_url(), pool_size=POOL_SIZE, max_overflow=0)
maker = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


async def new_session() -> AsyncIterator[AsyncSession]:
    async with maker() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(new_session)]


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int, session: SessionDep) -> Any:
    account = await session.scalar(select(Account).where(Account.id == id, Account.deleted_at.is_(None)))
    if account is None:
        raise HTTPException(404)
    return account


@app.get("/accounts", response_model=AccountPage)
async def page(session: SessionDep, limit: int = LIMIT) -> Any:
    alive = Account.deleted_at.is_(None)
    order = (Account.created_at.desc(), Account.id.desc())
    items: Sequence[Account] = (await session.scalars(select(Account).where(alive).order_by(*order).limit(limit))).all()
    total = await session.scalar(select(func.count()).select_from(Account).where(alive))
    return AccountPage(items=[AccountBody.model_validate(item) for item in items], total=total or 0)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch, session: SessionDep) -> Any:
    account = await session.get(Account, id)
    if account is None or account.deleted_at is not None:
        raise HTTPException(404)
    account.display_name = changes.display_name
    await session.commit()
    return account


@app.post("/pairs", status_code=201, response_model=list[AccountBody])
async def pair(new: Pair, session: SessionDep) -> Any:
    accounts = [Account(display_name=new.first), Account(display_name=new.second)]
    for account in accounts:
        session.add(account)
        await session.flush()
    await session.commit()
    return accounts
