"""Base, and mixins for any declarative base: SnowflakeId, Versioned, Timestamps, Authorship, SoftDelete; ModelMixin
combines them.

Stamps are column defaults, so that an ORM flush, a bulk insert, and an INSERT or UPDATE construct all set them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Integer, MetaData, event, literal_column
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column
from sqlalchemy.orm.attributes import instance_state

from unitwork.errors.model import NoIdGenerator
from unitwork.models.acting_user import acting_user_id
from unitwork.models.bulk_defaults import gives_many, gives_one
from unitwork.models.made_values import fetch_made_values
from unitwork.models.relationships import refuse_lazy_loads
from unitwork.models.unloaded_columns import refuse_unseen_loads
from unitwork.models.utc_datetime import UTCDateTime, utc_now

ID_GENERATOR = "unitwork_id_generator"
"""The execution option that holds a session's `Snowflake`."""


NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Naming convention for constraints without an explicit name."""


class Base(DeclarativeBase):
    """Declarative base with the registry and metadata of every table. Constraint names follow a convention, so that
    errors can name them.
    """

    __shown__: ClassVar[tuple[str, ...]] = ("id", "version")
    """The columns shown by repr, which appears in logs: no secrets, no personal data."""

    metadata = MetaData(naming_convention=NAMING)

    def __repr__(self) -> str:
        """Show the loaded columns, in any state of the instance, without a query."""
        state, known = instance_state(self), self.__dict__
        names = [state.mapper.get_property_by_column(column).key for column in state.mapper.primary_key]
        if state.key is not None:
            known = dict(zip(names, state.key[1], strict=False)) | known
        names += [name for name in self.__shown__ if name not in names]
        shown = ", ".join(f"{name}={_plain(known[name])}" for name in names if name in known)
        return f"{type(self).__name__}({shown})"


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, str) else repr(value)


refuse_lazy_loads(Base)
refuse_unseen_loads(Base)
fetch_made_values(Base)


class LibraryBase(Base):
    """Base of the library's own tables. Their metadata is separate, so that `unitwork.schema.with_library_tables` adds
    the tables that are needed to any host's metadata.
    """

    __abstract__ = True
    metadata = MetaData(naming_convention=NAMING)


Metadata = Collection[MetaData] | None
"""Metadata of the models in question; None for all models of the process."""
NEEDED = "unitwork_needed"
"""Key in a library table's `info` that holds a function from `Metadata` to True if its models need the table."""


def is_needed(table: Any, metadata: Metadata = None) -> bool:
    """True for a table of these metadata, and for a library table that their models need."""
    needed = table.info.get(NEEDED)
    return (metadata is None or table.metadata in metadata) if needed is None else bool(needed(metadata))


def mappers_of(mixin: type[Any]) -> Iterator[Mapper[Any]]:
    """Yield the mappers of all models with the mixin, of any base and registry."""
    mapper = vars(mixin).get("__mapper__")
    if mapper is not None:
        yield mapper
    for one in mixin.__subclasses__():
        yield from mappers_of(one)


def _next_id(context: DefaultExecutionContext) -> int:
    generator = context.execution_options.get(ID_GENERATOR)
    if generator is None:
        raise NoIdGenerator
    return int(generator.next_id())


def _next_ids(context: Any, _columns: Mapping[str, Sequence[Any]], count: int) -> Sequence[int]:
    generator = context.execution_options.get(ID_GENERATOR)
    if generator is None:
        raise NoIdGenerator
    ids: Sequence[int] = generator.next_ids(count)
    return ids


def _created_at(context: DefaultExecutionContext) -> datetime:
    """Give a new row the same moment in `updated_at` and `created_at`."""
    parameters: dict[str, Any] = context.get_current_parameters(isolate_multiinsert_groups=True)  # type: ignore[no-untyped-call]  # SQLAlchemy left it untyped
    created_at = parameters.get("created_at")
    return created_at if isinstance(created_at, datetime) else utc_now()


def _all_created_at(_context: Any, columns: Mapping[str, Sequence[Any]], count: int) -> Sequence[datetime]:
    return columns["created_at"] if "created_at" in columns else [utc_now()] * count


gives_one(acting_user_id)
gives_one(utc_now)
gives_many(_next_id, _next_ids)
gives_many(_created_at, _all_created_at)


class SnowflakeId:
    """A snowflake id, generated when the row is inserted."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, default=_next_id, sort_order=-10)


def any_snowflake_id(metadata: Metadata = None) -> bool:
    """True if a mapped model of these metadata has a snowflake id."""
    return any(is_needed(mapper.local_table, metadata) for mapper in mappers_of(SnowflakeId))


class Versioned:
    """Optimistic lock: each change increments `version`, and a change based on an older version raises
    `StaleVersion`.
    """

    version: Mapped[int] = mapped_column(
        Integer, default=1, onupdate=literal_column("version", Integer) + 1, sort_order=90
    )


def _count_versions(mapper: Mapper[Any], _model: type[Any]) -> None:
    """Set the mapper's version column, unless the model names another one.

    The mixin's `__mapper_args__` wouldn't do: a model's own (`polymorphic_on`) hide them, and an imperative mapping
    ignores them.
    """
    if mapper.version_id_col is None:
        mapper.version_id_col = mapper.columns["version"]


event.listen(Versioned, "after_mapper_constructed", _count_versions, propagate=True)


class Timestamps:
    """The moments of a row's creation and last update, aware and in UTC."""

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, sort_order=91)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=_created_at, onupdate=utc_now, sort_order=93)


class Authorship:
    """The ids of the users who created and last updated the row, from `acting_as`."""

    created_by: Mapped[int] = mapped_column(BigInteger, default=acting_user_id, sort_order=92)
    updated_by: Mapped[int] = mapped_column(BigInteger, default=acting_user_id, onupdate=acting_user_id, sort_order=94)


class SoftDelete:
    """A row that is marked as deleted by a timestamp, and excluded from SELECTs (`unitwork.models.soft_delete`)."""

    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime, sort_order=95)

    @property
    def deleted(self) -> bool:
        """True if the row is soft-deleted."""
        return self.deleted_at is not None


class IdMixin(SnowflakeId):
    """An alias of `SnowflakeId`, kept for compatibility."""


class ModelMixin(IdMixin, Versioned, Timestamps, Authorship, SoftDelete):
    """Snowflake id, audit columns, soft delete and optimistic lock. Unset columns get their defaults."""
