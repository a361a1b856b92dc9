"""InMemoryBuilder: what the in-memory builders share."""

from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, TypeVar

from unitwork.dao.builders.conditions import Conditions
from unitwork.testing.fakes.errors import NotFaked

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryBuilder(Conditions[T]):
    """A builder may learn what memory hasn't: each in-memory one names the fields it answers to."""

    answered: ClassVar[frozenset[str]] = frozenset({"model", "include_deleted", "conditions", "sessions"})

    def check_answered(self) -> None:
        """Raises `NotFaked` for a field that is set and unknown here."""
        for field in fields(self):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if field.name not in self.answered and getattr(self, field.name) != default:
                raise NotFaked(f"`{field.name}` of {type(self).__name__}")
