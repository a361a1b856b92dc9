"""Specimens: the models of the zoo, each with rows; `SPECIMENS` of every database, `OF_POSTGRESQL` of one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range

from tests.repositories.zoo import (
    MOMENT,
    Asking,
    ByDay,
    ByDecimal,
    ByIdentity,
    ByServer,
    BySeveral,
    ByTags,
    ByText,
    ByUuid,
    Composed,
    Converted,
    Counted,
    Dataclassed,
    Defaults,
    Diet,
    Grown,
    Lazy,
    Lion,
    Mutable,
    Named,
    Point,
    Propertied,
    Rank,
    Rebuilt,
    Types,
)
from tests.repositories.zoo_families import Animal, Bird, ByJoin, Cage, Keeper, Lorry, Vehicle, Viewed
from tests.repositories.zoo_postgresql import Arrays, BySequence, ByServersUuid


@dataclass(frozen=True)
class Specimen:
    """A model, its rows by attribute, what is stored before them, and attributes that the database gives."""

    model: type[Any]
    rows: Callable[[int], Mapping[str, Any]]
    given: tuple[str, ...] = ()
    before: Callable[[], Any] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What an update sets."""
    paged: bool = True
    """Whether its key can be in a cursor, and tells rows apart."""

    def __str__(self) -> str:
        return self.model.__name__

    def row(self, number: int) -> Any:
        """A model, not stored."""
        return self.model(**self.rows(number))


def _types(number: int) -> Mapping[str, Any]:
    """The first row has everything, the second nothing, the third what is awkward."""
    every = {
        "native": Diet.MEAT,
        "rank": Rank.HIGH,
        "word": "b",
        "exact": Decimal("1234.500000"),
        "loose": Decimal("0.10"),
        "as_float": 2.5,
        "floating": 0.1,
        "float_decimal": Decimal("0.5"),
        "document": {"a": [1, None, {"b": 2.5}], "c": "ü"},
        "nullable_document": [1, 2],
        "blob": b"\x00\xff",
        "moment": MOMENT,
        "naive": datetime(2026, 3, 29, 2, 30, 0),  # noqa: DTZ001 - it is what the column is for
        "day": date(2024, 2, 29),
        "hour": time(23, 59, 59),
        "span": timedelta(days=2, seconds=3),
        "flag": True,
        "token": UUID(int=7),
        "token_text": str(UUID(int=8)),
        "tags": frozenset({"x", "y"}),
    }
    awkward = {
        "exact": Decimal(-1),
        "loose": 3,
        "document": None,
        "nullable_document": None,
        "floating": -0.0,
        "flag": False,
        "blob": b"",
        "moment": MOMENT.astimezone(UTC),
    }
    return {"id": number} | (every, {}, awkward)[number % 3]


def _arrays(number: int) -> Mapping[str, Any]:
    every = {
        "numbers": [1, None, 3],
        "diets": [Diet.MEAT, None],
        "native": [Diet.LEAVES],
        "moments": [MOMENT, MOMENT],
        "exact": [Decimal("1.50")],
        "documents": [{"a": 1}, None],
        "document": {"b": [True]},
        "zoned": MOMENT,
        "range": Range(1, 5),
    }
    return {"id": number} | (every, {}, {"numbers": [], "document": None, "range": Range(empty=True)})[number % 3]


def _text(number: int) -> Mapping[str, Any]:
    return {"text": f"text {number}" if number else None}


def _with(make: Callable[[int], Any]) -> Callable[[int], Mapping[str, Any]]:
    return lambda number: {"id": make(number), **_text(number)}


def _numbered(**values: Any) -> Callable[[int], Mapping[str, Any]]:
    return lambda number: {"id": number, **values}


TEXT: Final = {"text": "changed"}

SPECIMENS: Final = [
    Specimen(
        Lion,
        lambda number: {
            "id": number + 1,
            "name": f"lion {number}",
            "weight": Decimal("190.250"),
            "born": MOMENT,
            "created_at": MOMENT,
            "created_by": 1,
            "updated_by": 1,
        },
        changes={"name": "changed", "diet": Diet.LEAVES, "weight": None, "updated_at": MOMENT, "updated_by": 5},
    ),
    Specimen(Types, _types, changes={k: v for k, v in _types(0).items() if k != "id"} | {"document": None}),
    Specimen(
        Converted,
        lambda number: {"id": number} | ({"shouted": "Roar", "varied": "Roar", "measured": "abcd"} if number else {}),
        changes={"shouted": "Ah", "varied": "Oh"},
    ),
    Specimen(Counted, _text, given=("id",), changes=TEXT),
    Specimen(ByIdentity, _text, given=("id",), changes=TEXT),
    Specimen(ByUuid, _with(lambda number: UUID(int=number)), changes=TEXT),
    Specimen(ByText, _with(lambda number: f"{number}Ü"), changes=TEXT),
    Specimen(ByTags, _with(lambda number: frozenset({"a", f"{number}"})), changes=TEXT, paged=False),
    Specimen(ByDecimal, _with(lambda number: Decimal(number) / 4), changes=TEXT),
    Specimen(ByDay, _with(lambda number: date(2026, 1, 1) + timedelta(number)), changes=TEXT),
    Specimen(
        BySeveral,
        lambda number: {"moment": MOMENT, "diet": Diet.MEAT, "number": number, **_text(number)},
        changes=TEXT,
    ),
    Specimen(
        Named,
        _numbered(other="x", keyed="y", group=3, percent=4),
        changes={"other": "z", "keyed": "w", "group": 1, "percent": None},
    ),
    Specimen(Defaults, lambda number: {"id": number, "title": "t"} | ({"null_document": None} if number == 1 else {})),
    Specimen(Asking, _numbered()),
    Specimen(ByServer, _numbered(), changes={"number": 9}),
    Specimen(Grown, _numbered(first="Ann", last="Bee"), changes={"last": "Cee"}),
    Specimen(Propertied, _numbered(first="Ann"), changes={"first": "Ben"}),
    Specimen(Lazy, _numbered(first="Ann", long="long"), changes={"long": "longer"}),
    Specimen(Composed, lambda number: {"id": number, "point": Point(number, 2)}),
    Specimen(Mutable, _numbered(document={"a": 1})),
    Specimen(Rebuilt, _with(int), changes=TEXT),
    Specimen(Dataclassed, _numbered(listed=[1]), changes={"made": 6}),
    Specimen(Animal, _numbered(name="Cat"), changes={"name": "Dog"}),
    Specimen(Bird, lambda number: {"id": number + 100, "name": "Owl", "wings": 2}, changes={"wings": 1}),
    Specimen(Vehicle, _numbered(name="Bike"), changes={"name": "Car"}),
    Specimen(Lorry, lambda number: {"id": number + 100, "name": "Truck", "load": 3}),
    Specimen(Keeper, _numbered(name="Ann"), changes={"name": "Ben"}),
    Specimen(ByJoin, _numbered(cage_id=50), before=lambda: Cage(id=50)),
    Specimen(Viewed, lambda number: {"number": number, "other": number // 2}, paged=False),
]
OF_POSTGRESQL: Final = [
    Specimen(Arrays, _arrays, changes={k: v for k, v in _arrays(0).items() if k != "id"}),
    Specimen(ByServersUuid, lambda _: {"text": "text"}, given=("id", "made_at"), changes=TEXT),
    Specimen(BySequence, _text, given=("id",), changes=TEXT),
]
