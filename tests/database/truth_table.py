"""What each propagation mode does in each surrounding, and what is stored afterwards: one table, tested and shown.

The outer block (where there is one that writes) stores the row `outer`, the inner one the row `inner`. The inner block
returns, raises out of both blocks, or raises and is caught between them.
"""

from dataclasses import dataclass, replace
from typing import Final

from unitwork import Propagation

AMBIENTS: Final = ("none", "read-write", "read-only", "doomed")
ENDINGS: Final = ("returns", "raises", "is caught")

OK: Final = "—"
FAILURE: Final = "the inner error"
ROLLED_BACK: Final = "TransactionRolledBack"


@dataclass(frozen=True)
class Cell:
    """`does` on entry; for each ending the rows stored and what leaves the outer block."""

    does: str
    returns: tuple[str, str]
    raises: tuple[str, str]
    is_caught: tuple[str, str]

    def ending(self, name: str) -> tuple[str, str]:
        return {"returns": self.returns, "raises": self.raises, "is caught": self.is_caught}[name]


def _refused(error: str, *, kept: str = "", last: str = OK) -> Cell:
    """An error on entry, which is the inner error: uncaught it takes everything along."""
    return Cell(error, ("", error), ("", error), (kept, last))


BEGINS = Cell("begins", ("inner", OK), ("", FAILURE), ("", OK))
WITHOUT = Cell("runs without", ("inner", OK), ("inner", FAILURE), ("inner", OK))
JOINS = Cell("joins", ("outer inner", OK), ("", FAILURE), ("", ROLLED_BACK))
JOINS_DOOMED = Cell("joins", ("", ROLLED_BACK), ("", FAILURE), ("", ROLLED_BACK))
SECOND_WRITER = "SecondWriterImpossible"

TABLE: Final[dict[tuple[Propagation, str], Cell]] = {
    (Propagation.REQUIRED, "none"): BEGINS,
    (Propagation.REQUIRED, "read-write"): JOINS,
    (Propagation.REQUIRED, "read-only"): _refused("IncompatibleTransaction"),
    (Propagation.REQUIRED, "doomed"): JOINS_DOOMED,
    (Propagation.REQUIRES_NEW, "none"): BEGINS,
    (Propagation.REQUIRES_NEW, "read-write"): Cell("begins another", ("outer inner", OK), ("", FAILURE), ("outer", OK)),
    (Propagation.REQUIRES_NEW, "read-only"): replace(BEGINS, does="begins another"),
    (Propagation.REQUIRES_NEW, "doomed"): Cell(
        "begins another", ("inner", ROLLED_BACK), ("", FAILURE), ("", ROLLED_BACK)
    ),
    (Propagation.NESTED, "none"): BEGINS,
    (Propagation.NESTED, "read-write"): Cell("savepoint", ("outer inner", OK), ("", FAILURE), ("outer", OK)),
    (Propagation.NESTED, "read-only"): _refused("IncompatibleTransaction"),
    (Propagation.NESTED, "doomed"): replace(JOINS_DOOMED, does="savepoint"),
    (Propagation.MANDATORY, "none"): _refused("NoActiveTransaction"),
    (Propagation.MANDATORY, "read-write"): JOINS,
    (Propagation.MANDATORY, "read-only"): _refused("IncompatibleTransaction"),
    (Propagation.MANDATORY, "doomed"): JOINS_DOOMED,
    (Propagation.SUPPORTS, "none"): WITHOUT,
    (Propagation.SUPPORTS, "read-write"): JOINS,
    (Propagation.SUPPORTS, "read-only"): _refused("IncompatibleTransaction"),
    (Propagation.SUPPORTS, "doomed"): JOINS_DOOMED,
    (Propagation.NOT_SUPPORTED, "none"): WITHOUT,
    (Propagation.NOT_SUPPORTED, "read-write"): Cell(
        "runs without", ("outer inner", OK), ("inner", FAILURE), ("outer inner", OK)
    ),
    (Propagation.NOT_SUPPORTED, "read-only"): WITHOUT,
    (Propagation.NOT_SUPPORTED, "doomed"): Cell(
        "runs without", ("inner", ROLLED_BACK), ("inner", FAILURE), ("inner", ROLLED_BACK)
    ),
    (Propagation.NEVER, "none"): WITHOUT,
    (Propagation.NEVER, "read-write"): _refused("TransactionNotAllowed", kept="outer"),
    (Propagation.NEVER, "read-only"): _refused("TransactionNotAllowed"),
    (Propagation.NEVER, "doomed"): _refused("TransactionNotAllowed", last=ROLLED_BACK),
}

SQLITE: Final[dict[tuple[Propagation, str], Cell]] = {
    (Propagation.REQUIRES_NEW, "read-write"): _refused(SECOND_WRITER, kept="outer"),
    (Propagation.REQUIRES_NEW, "doomed"): _refused(SECOND_WRITER, last=ROLLED_BACK),
    (Propagation.NOT_SUPPORTED, "read-write"): _refused(SECOND_WRITER, kept="outer"),
    (Propagation.NOT_SUPPORTED, "doomed"): _refused(SECOND_WRITER, last=ROLLED_BACK),
}
"""Where SQLite differs, having one writer. NOT_SUPPORTED is entered, and refused with its first write."""


def cell(backend: str, propagation: Propagation, ambient: str) -> Cell:
    """What holds on this database."""
    other = SQLITE.get((propagation, ambient)) if backend == "sqlite" else None
    return other or TABLE[propagation, ambient]


def markdown() -> str:
    """The table as the guide shows it."""
    lines = [
        "| mode | ambient | does | inner returns | inner raises | inner raises, caught |",
        "|---|---|---|---|---|---|",
    ]
    for (propagation, ambient), entry in TABLE.items():
        lines.append(_line(propagation, ambient, entry))
        if (propagation, ambient) in SQLITE:
            lines.append(_line(propagation, f"{ambient}, on SQLite", SQLITE[propagation, ambient]))
    return "\n".join(lines) + "\n"


def _line(propagation: Propagation, ambient: str, entry: Cell) -> str:
    shown = [
        f"{stored or 'nothing'}; {left}" if left != OK else stored or "nothing" for stored, left in _endings(entry)
    ]
    return f"| {propagation.name} | {ambient} | {entry.does} | {' | '.join(shown)} |"


def _endings(entry: Cell) -> list[tuple[str, str]]:
    return [entry.ending(name) for name in ENDINGS]


if __name__ == "__main__":
    print(markdown(), end="")
