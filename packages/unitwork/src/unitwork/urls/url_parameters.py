"""What may become of a parameter of a database URL: each check takes one, passes it over, or refuses it by name."""

import difflib
import re
from collections.abc import Callable, Mapping

Check = Callable[[str, str], dict[str, str]]
"""Makes what is kept of a parameter's name and value. Raises ValueError, which never repeats the value."""


def taken(parameters: Mapping[str, str], known: Mapping[str, Check], *, named: bool) -> dict[str, str]:
    """What is kept of each by its check. Raises ValueError for one that is unknown, with the one that may be meant; the
    unknown name is repeated where `named` says so only.
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
    """The error of a parameter that is known, and can't be taken."""
    return ValueError(f"the parameter '{name}' of the URL can't be taken: {why}")


def kept(name: str, value: str) -> dict[str, str]:
    """As it is."""
    return {name: value}


def one_of(*values: str) -> Check:
    """As it is, where it is one of these."""

    def check(name: str, value: str) -> dict[str, str]:
        if value not in values:
            msg = f"the parameter '{name}' of the URL has an unknown value; use one of: {', '.join(values)}"
            raise ValueError(msg)
        return {name: value}

    return check


def passed_over(*values: str, why: str) -> Check:
    """Nothing, where it is one of these (of any, where none is named): it says what is so anyway."""

    def check(name: str, value: str) -> dict[str, str]:
        if values and value.lower() not in values:
            raise refused(name, why)
        return {}

    return check


def never(why: str) -> Check:
    """Refused."""

    def check(name: str, _value: str) -> dict[str, str]:
        raise refused(name, why)

    return check


def number(name: str, value: str) -> dict[str, str]:
    """Digits: as they are."""
    if not re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", value):
        msg = f"the parameter '{name}' of the URL is no number; write one, such as {name}=5"
        raise ValueError(msg)
    return {name: value}


def seconds(_name: str, value: str) -> dict[str, str]:
    """libpq's connect_timeout, under that name; 0, which waits for ever there, leaves our own setting."""
    return number("connect_timeout", value) if float(number("connect_timeout", value)["connect_timeout"]) else {}
