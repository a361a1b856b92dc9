"""fastapi-sqla: a session for each request, committed by its middleware."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.http.models import Account
from benchmarks.http.schemas import LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, sqlalchemy_url

os.environ["SQLALCHEMY_URL"] = sqlalchemy_url()
os.environ["SQLALCHEMY_POOL_SIZE"] = str(POOL_SIZE)
os.environ["SQLALCHEMY_MAX_OVERFLOW"] = "0"

from fastapi import Depends, FastAPI, HTTPException
from fastapi_sqla import AsyncSessionDependency, setup_middlewares, startup
from sqlalchemy import func, select


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await startup()
    yield


app = FastAPI(lifespan=lifespan)
setup_middlewares(app)
session_of_request = Depends(AsyncSessionDependency())


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int, session: Any = session_of_request) -> Any:
    account = await session.scalar(select(Account).where(Account.id == id, Account.deleted_at.is_(None)))
    if account is None:
        raise HTTPException(404)
    return account


@app.get("/accounts", response_model=AccountPage)
async def page(limit: int = LIMIT, session: Any = session_of_request) -> Any:
    alive = Account.deleted_at.is_(None)
    order = (Account.created_at.desc(), Account.id.desc())
    items = (await session.scalars(select(Account).where(alive).order_by(*order).limit(limit))).all()
    total = await session.scalar(select(func.count()).select_from(Account).where(alive))
    return AccountPage(items=[AccountBody.model_validate(item) for item in items], total=total)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch, session: Any = session_of_request) -> Any:
    account = await session.get(Account, id)
    if account is None or account.deleted_at is not None:
        raise HTTPException(404)
    account.display_name = changes.display_name
    await session.flush()
    return account


@app.post("/pairs", status_code=201, response_model=list[AccountBody])
async def pair(new: Pair, session: Any = session_of_request) -> Any:
    accounts = [Account(display_name=new.first), Account(display_name=new.second)]
    for account in accounts:
        session.add(account)
        await session.flush()
    return accounts
