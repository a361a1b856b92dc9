"""Effort: how much a run takes upon itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """`rounds` of `seconds` each, of which medians count; `scale` is a share of the big row counts."""

    rounds: int = 3
    seconds: float = 3.0
    scale: float = 1.0
