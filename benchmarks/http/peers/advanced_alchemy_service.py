"""FastAPI and advanced-alchemy: its service over its repository, as its documentation has it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from advanced_alchemy.exceptions import NotFoundError
from advanced_alchemy.extensions.fastapi import (
    AdvancedAlchemy,
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    repository,
    service,
)
from advanced_alchemy.filters import LimitOffset, OrderBy
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.http.models import Account
from benchmarks.http.schemas import LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, sqlalchemy_url

app = FastAPI()
alchemy = AdvancedAlchemy(
    config=SQLAlchemyAsyncConfig(
        connection_string=sqlalchemy_url(),
        engine_config=EngineConfig(pool_size=POOL_SIZE, max_overflow=0),
        session_config=AsyncSessionConfig(expire_on_commit=False),
        commit_mode="manual",
    ),
    app=app,
)


class AccountRepository(repository.SQLAlchemyAsyncRepository[Account]):
    model_type = Account


class AccountService(service.SQLAlchemyAsyncRepositoryService[Account, AccountRepository]):
    repository_type = AccountRepository


SessionDep = Annotated[AsyncSession, Depends(alchemy.provide_session())]


async def account_service(session: SessionDep) -> AsyncIterator[AccountService]:
    async with AccountService.new(session=session) as accounts:
        yield accounts


ServiceDep = Annotated[AccountService, Depends(account_service)]


@app.get("/accounts/{id}", response_model=AccountBody)
async def get(id: int, accounts: ServiceDep) -> Any:
    try:
        return await accounts.get_one(Account.id == id, Account.deleted_at.is_(None))
    except NotFoundError:
        raise HTTPException(404) from None


@app.get("/accounts", response_model=AccountPage)
async def page(accounts: ServiceDep, limit: int = LIMIT) -> Any:
    order = (OrderBy("created_at", "desc"), OrderBy("id", "desc"))
    items, total = await accounts.list_and_count(Account.deleted_at.is_(None), LimitOffset(limit, 0), *order)
    return AccountPage(items=[AccountBody.model_validate(item) for item in items], total=total)


@app.patch("/accounts/{id}", response_model=AccountBody)
async def patch(id: int, changes: Patch, accounts: ServiceDep) -> Any:
    try:
        return await accounts.update(changes.model_dump(), item_id=id, auto_commit=True)
    except NotFoundError:
        raise HTTPException(404) from None


@app.post("/pairs", status_code=201, response_model=list[AccountBody])
async def pair(new: Pair, accounts: ServiceDep) -> Any:
    first = await accounts.create({"display_name": new.first})
    return [first, await accounts.create({"display_name": new.second}, auto_commit=True)]
