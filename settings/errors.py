"""SettingsError: a value from the environment can't be used."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True)
class Problem:
    """One unusable setting: the long name of its variable, and the reason."""

    variable: str
    reason: str


class SettingsError(ValueError):
    """Some settings can't be used; `problems` names each variable. Never contains a value."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(f"{problem.variable}: {problem.reason}" for problem in self.problems)

    @classmethod
    def from_validation(cls, error: ValidationError, *, prefix: str) -> "SettingsError":
        """Convert pydantic's error, with the variables' long names. A rule over several settings begins with the one to
        change.
        """
        problems = []
        for item in error.errors(include_input=False, include_url=False, include_context=False):
            reason = item["msg"].removeprefix("Value error, ")
            name = "__".join(str(part) for part in item["loc"])
            if not name:
                name, _, reason = reason.partition(" ")
            # Names of unknown variables in a `.env` include the prefix.
            problems.append(Problem(prefix + name.upper().removeprefix(prefix), reason))
        return cls(problems)
