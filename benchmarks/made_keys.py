"""Tables whose keys and moments the database makes, on a base of the host's own, and the work on them in SQL."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, Uuid, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class NoteBase(DeclarativeBase):
    """A host's own base: nothing of the library's is in its models."""


class Note(NoteBase):
    """A row whose key and moment the database makes."""

    __tablename__ = "bench_notes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    title: Mapped[str]
    body: Mapped[str | None]
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Leaf(NoteBase):
    """A row whose key is a UUID of the database's."""

    __tablename__ = "bench_leaves"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))
    title: Mapped[str]
    body: Mapped[str | None]


NOTE: Final = "SELECT id, title, body, made_at FROM bench_notes WHERE id = $1"
NOTES: Final = (
    "SELECT id, title, body, made_at, (SELECT count(*) FROM (SELECT id FROM bench_notes) AS every) FROM bench_notes "
    "ORDER BY id LIMIT $1 OFFSET $2"
)
ADD_NOTE: Final = "INSERT INTO bench_notes (title, body) VALUES ($1, $2) RETURNING id, made_at"
ADD_LEAF: Final = "INSERT INTO bench_leaves (title, body) VALUES ($1, $2) RETURNING id"
CHANGE_NOTE: Final = "UPDATE bench_notes SET title = $1 WHERE id = $2"
