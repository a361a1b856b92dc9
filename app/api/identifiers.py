"""Ids in HTTP: decimal text, as JSON numbers are exact only up to 2^53."""

import re
from typing import Annotated, Any

from fastapi import Path
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["250378729790898176"]}


def _parse(value: Any) -> int:
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) >= 1 << 63:
        msg = "not an id; send a decimal number below 2^63"
        raise ValueError(msg)
    return int(text)


UserId = Annotated[int, Path(), BeforeValidator(_parse), WithJsonSchema(_SCHEMA)]
"""An account's id in a path."""

IdText = Annotated[int, PlainSerializer(str, return_type=str), WithJsonSchema(_SCHEMA)]
"""An id in an answer."""
