"""Percentiles of durations, as the fault tests print them."""

from collections.abc import Sequence


def percentile(seconds: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent don't exceed; 0.0 of nothing."""
    ordered = sorted(seconds)
    return ordered[max(int(-(-len(ordered) * percent // 100)) - 1, 0)] if ordered else 0.0


def percentiles(seconds: Sequence[float]) -> str:
    """p50, p99 and the longest, in milliseconds."""
    p50, p99, longest = (percentile(seconds, percent) * 1000 for percent in (50, 99, 100))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {longest:.1f} ms"
