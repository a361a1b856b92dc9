"""Cores: how busy the machine's are, whoever uses them."""

from pathlib import Path


class Cores:
    """Since it was made."""

    def __init__(self) -> None:
        self._before = _ticks()

    def busy(self) -> float:
        """The share of all cores' time in which they did anything: 1 leaves nothing to scale onto."""
        resting, total = (now - before for now, before in zip(_ticks(), self._before, strict=True))
        return 1 - resting / total if total else 0.0


def _ticks() -> tuple[int, int]:
    """Resting, and in all, since the machine started; Linux accounts them."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)
