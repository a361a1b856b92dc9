"""Peer: whom we are measured beside, and where it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.http.server import ROOT


@dataclass(frozen=True)
class Peer:
    """`module` in `benchmarks.http.peers`; `environment` is the folder of a virtual environment."""

    name: str
    module: str
    environment: str = ".venv"
    sqlalchemy: bool = True

    @property
    def path(self) -> str:
        return f"benchmarks.http.peers.{self.module}"

    @property
    def python(self) -> Path:
        return ROOT / self.environment / "bin" / "python"


OURS: Final = Peer("Gatehouse", "gatehouse")
PEERS: Final = (
    Peer("Starlette + asyncpg (the limit)", "starlette_asyncpg", sqlalchemy=False),
    Peer("FastAPI + asyncpg", "fastapi_asyncpg", sqlalchemy=False),
    Peer("FastAPI + SQLAlchemy, yield session", "yield_session"),
    Peer("FastAPI + SQLModel", "sqlmodel_session", ".bench/peers"),
    Peer("FastAPI + fastapi-sqla", "fastapi_sqla_session", ".bench/fastapi-sqla"),
    Peer("FastAPI + advanced-alchemy", "advanced_alchemy_service", ".bench/peers"),
    Peer("a session per DAO call", "session_per_call"),
    OURS,
)
