"""A project's models, DAO and program in one file, as scripts are."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from unitwork import Database
from unitwork.dao import BaseDao


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(20))


class ItemDao(BaseDao[Item]):
    async def labels(self) -> list[str]:
        return await self.query().scalars(Item.label)


async def ask(database: Database) -> list[str]:
    return await ItemDao(database.sessions).labels()
