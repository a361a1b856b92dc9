"""FastAPI and asyncpg: what SQLAlchemy's comfort is weighed against."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request

from benchmarks.http.schemas import DATABASE_URL, LIMIT, POOL_SIZE, AccountBody, AccountPage, Pair, Patch, next_id
from benchmarks.http.statements import COUNT, GET, INSERT, LIST, PATCH


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(DATABASE_URL, min_size=POOL_SIZE, max_size=POOL_SIZE) as app.state.pool:
        yield


async def pool(request: Request) -> Any:
    return request.app.state.pool


PoolDep = Annotated[Any, Depends(pool)]
app = FastAPI(lifespan=lifespan)


@app.get("/accounts/{id}")
async def get(id: int, pool: PoolDep) -> AccountBody:
    row = await pool.fetchrow(GET, id)
    if row is None:
        raise HTTPException(404)
    return AccountBody(**row)


@app.get("/accounts")
async def page(pool: PoolDep, limit: int = LIMIT) -> AccountPage:
    async with pool.acquire() as connection:
        rows = await connection.fetch(LIST, limit)
        total = await connection.fetchval(COUNT)
    return AccountPage(items=[AccountBody(**row) for row in rows], total=total)


@app.patch("/accounts/{id}")
async def patch(id: int, changes: Patch, pool: PoolDep) -> AccountBody:
    row = await pool.fetchrow(PATCH, id, changes.display_name)
    if row is None:
        raise HTTPException(404)
    return AccountBody(**row)


@app.post("/pairs", status_code=201)
async def pair(new: Pair, pool: PoolDep) -> list[AccountBody]:
    async with pool.acquire() as connection, connection.transaction():
        rows = [await connection.fetchrow(INSERT, next_id(), name) for name in (new.first, new.second)]
    return [AccountBody(**row) for row in rows]
