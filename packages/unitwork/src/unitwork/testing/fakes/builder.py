"""InMemoryBuilder: the base of the in-memory builders."""

from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, TypeVar

from unitwork.dao.builders.conditions import Conditions
from unitwork.testing.fakes.errors import NotFaked

T = TypeVar("T")


@dataclass(frozen=True)
class InMemoryBuilder(Conditions[T]):
    """A builder over rows in memory. `answered` names the fields it supports, so that a field added to the real builder
    is refused until it is supported here.
    """

    answered: ClassVar[frozenset[str]] = frozenset({"model", "include_deleted", "conditions", "sessions"})

    def check_answered(self) -> None:
        """Raise `NotFaked` for a field that is set but not supported."""
        for field in fields(self):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if field.name not in self.answered and getattr(self, field.name) != default:
                raise NotFaked(f"`{field.name}` of {type(self).__name__}")
