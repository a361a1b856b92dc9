"""FastAPI and SQLModel, asynchronous, as its documentation has it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import BigInteger, DateTime
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.http.models import now
from benchmarks.http.schemas import LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, next_id, sqlalchemy_url

engine = create_async_engine(sqlalchemy_url(), pool_size=POOL_SIZE, max_overflow=0)
app = FastAPI()


class Account(SQLModel, table=True):  # type: ignore[call-arg]  # unknown here, see pyproject.toml
    __tablename__ = "accounts"

    id: int = Field(default_factory=next_id, primary_key=True, sa_type=BigInteger)
    email: str | None = None
    display_name: str | None = None
    role: str = "user"
    status: str = "active"
    version: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    created_by: int = Field(default=0, sa_type=BigInteger)
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_by: int = Field(default=0, sa_type=BigInteger)
    deleted_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


async def new_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(new_session)]


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int, session: SessionDep) -> Any:
    account = (await session.exec(select(Account).where(Account.id == id, col(Account.deleted_at).is_(None)))).first()
    if account is None:
        raise HTTPException(404)
    return account


@app.get("/accounts", response_model=AccountPage)
async def page(session: SessionDep, limit: int = LIMIT) -> Any:
    alive = col(Account.deleted_at).is_(None)
    order = (col(Account.created_at).desc(), col(Account.id).desc())
    items: Sequence[Account] = (await session.exec(select(Account).where(alive).order_by(*order).limit(limit))).all()
    total = (await session.exec(select(func.count()).select_from(Account).where(alive))).one()
    return AccountPage(items=[AccountBody.model_validate(item) for item in items], total=total)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch, session: SessionDep) -> Any:
    account = await session.get(Account, id)
    if account is None or account.deleted_at is not None:
        raise HTTPException(404)
    account.display_name = changes.display_name
    account.version += 1
    account.updated_at = now()
    session.add(account)
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
