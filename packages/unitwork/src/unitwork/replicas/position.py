"""Position: a place in a server's write-ahead log, and what a piece of work was told to read after."""

import re
from typing import Final, NamedTuple, Self

from unitwork.server_identity import ServerIdentity

_FORM: Final = re.compile(r"(\d{1,20}) ([0-9A-F]{8}) ([0-9A-F]{1,8})/([0-9A-F]{1,8})")
_EVERYTHING: Final = "*"


class Position(NamedTuple):
    """A place in the log of one history of PostgreSQL; those of two histories can't be compared."""

    server: ServerIdentity
    lsn: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the position that `text` writes, as the server selects it: system, timeline, LSN; None for another
        text.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        system, timeline, high, low = found.groups()
        return cls(ServerIdentity(system, int(timeline, 16)), int(high, 16) << 32 | int(low, 16))

    @property
    def text(self) -> str:
        """Return the position as `parse` reads it."""
        return f"{self.server.text} {self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}"

    def covers(self, other: "Position") -> bool:
        """True if what was stored up to `other` is there at this position."""
        return self.lsn >= other.lsn and self.server == other.server

    def follows(self, other: "Position | None") -> bool:
        """True if this one is to be kept of two that one piece of work has seen: the later one, or that of another
        system, which has replaced the former.
        """
        if other is None or other.server.system != self.server.system:
            return True
        return (self.server.timeline, self.lsn) > (other.server.timeline, other.lsn)


class Told(NamedTuple):
    """Oldest state that reads may show: a position, or everything that was stored by now."""

    position: Position | None = None
    everything: bool = False

    def __bool__(self) -> bool:
        """Return False for nothing."""
        return self.everything or self.position is not None

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Return what `text` writes; nothing for None and for another text."""
        if text is None:
            return cls()
        return cls(None, everything=True) if text == _EVERYTHING else cls(Position.parse(text))

    @property
    def text(self) -> str | None:
        """Return the text that `parse` reads; None for nothing."""
        if self.everything:
            return _EVERYTHING
        return None if self.position is None else self.position.text

    def together(self, other: "Told") -> "Told":
        """Return what satisfies both."""
        mine, theirs = self.position, other.position
        later = theirs if theirs is not None and theirs.follows(mine) else mine
        return Told(later, everything=self.everything or other.everything)


NOTHING: Final = Told()
EVERYTHING: Final = Told(everything=True)
