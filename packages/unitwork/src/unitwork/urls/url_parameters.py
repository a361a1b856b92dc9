"""URL parameters: checks that keep, ignore or refuse a parameter of a database URL."""

import difflib
import re
from collections.abc import Callable, Mapping

Check = Callable[[str, str], dict[str, str]]
"""Returns the parameters to keep for a name and value. Raises ValueError, which never repeats the value."""


def taken(parameters: Mapping[str, str], known: Mapping[str, Check], *, named: bool) -> dict[str, str]:
    """Return the parameters that their checks keep. Raises ValueError for an unknown one, suggesting the nearest; its
    name is repeated only if `named`.
    """
    found: dict[str, str] = {}
    for position, (name, value) in enumerate(parameters.items(), 1):
        check = known.get(name.lower())
        if check is None:
            called = f"'{name}'" if named else f"number {position}"
            near = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.75) if named else []
            meant = f"did you mean '{near[0]}'?" if near else "leave it out"
            msg = f"the parameter {called} of the URL is unknown; {meant}"
            raise ValueError(msg)
        found |= check(name.lower(), value)
    return found


def refused(name: str, why: str) -> ValueError:
    """Return the error for a known parameter that can't be used."""
    return ValueError(f"the parameter '{name}' of the URL can't be taken: {why}")


def kept(name: str, value: str) -> dict[str, str]:
    """Check that keeps the parameter."""
    return {name: value}


def one_of(*values: str) -> Check:
    """Return a check that keeps the parameter if its value is one of these."""

    def check(name: str, value: str) -> dict[str, str]:
        if value not in values:
            msg = f"the parameter '{name}' of the URL has an unknown value; use one of: {', '.join(values)}"
            raise ValueError(msg)
        return {name: value}

    return check


def ignored(*values: str, why: str) -> Check:
    """Return a check that drops the parameter if its value, which must be one of these if any are given, changes
    nothing.
    """

    def check(name: str, value: str) -> dict[str, str]:
        if values and value.lower() not in values:
            raise refused(name, why)
        return {}

    return check


def reject(why: str) -> Check:
    """Return a check that refuses the parameter."""

    def check(name: str, _value: str) -> dict[str, str]:
        raise refused(name, why)

    return check


def number(name: str, value: str) -> dict[str, str]:
    """Check that keeps a parameter whose value is a number."""
    if not re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", value):
        msg = f"the parameter '{name}' of the URL is no number; write one, such as {name}=5"
        raise ValueError(msg)
    return {name: value}


def seconds(_name: str, value: str) -> dict[str, str]:
    """Check that keeps a number as `connect_timeout`. 0, for which libpq waits without limit, keeps our own setting."""
    return number("connect_timeout", value) if float(number("connect_timeout", value)["connect_timeout"]) else {}
