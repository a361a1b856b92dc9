"""JSON codec: values are loaded with the types they were stored with.

JSON's own types are stored as plain JSON, readable by every other program. Other types are stored as an object with one
key: `{"$decimal": "1.10"}`, `$datetime`, `$date`, `$time`, `$uuid`, `$float` (NaN and the infinities), and `$number`
for a number that is the whole document. A caller's object that looks like one of these is wrapped in `{"$object": …}`.
Tuples are loaded as lists.
"""

import json
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "$decimal": Decimal,
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$uuid": UUID,
    "$float": float,
    "$number": lambda value: value,
    "$object": lambda value: value,
}


def dumps(value: Any) -> str:
    """Return the value as JSON. Raises TypeError, naming the type, for a value that couldn't be loaded unchanged."""
    if isinstance(value, int | float) and not isinstance(value, bool | Enum) and math.isfinite(value):
        # SQLite gives a JSON column numeric affinity and converts text that is a number: 0.0 would be loaded as 0.
        plain: Any = {"$number": value}
    else:
        plain = _plain(value)
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes) -> Any:
    """Return the value that `dumps` was given."""
    return _rich(json.loads(text))


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            msg = f"a {type(value).__name__} would come back as plain text or number; store its .value"
            raise TypeError(msg)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"$float": repr(value)}
        case Decimal():
            return {"$decimal": str(value)}
        case datetime():
            return {"$datetime": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case time():
            return {"$time": value.isoformat()}
        case UUID():
            return {"$uuid": str(value)}
        case dict():
            for key in value:
                if not isinstance(key, str):
                    msg = f"a JSON object's keys are strings, and this one is a {type(key).__name__}; convert it first"
                    raise TypeError(msg)
            plain = {key: _plain(item) for key, item in value.items()}
            return {"$object": plain} if len(plain) == 1 and next(iter(plain)) in _READERS else plain
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            msg = f"a {type(value).__name__} can't be stored as JSON; convert it to text or numbers first"
            raise TypeError(msg)


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, item),) = value.items()
        if key == "$object":
            return {name: _rich(inner) for name, inner in item.items()}
        if key in _READERS:
            return _READERS[key](item)
    return {key: _rich(item) for key, item in value.items()}
