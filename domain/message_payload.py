"""message_payload: what a message may carry, checked where it is stored and not where it is delivered.

    MessageError (a ValueError)
    ├── UnusableTopic      the topic is empty, too long, or no name
    └── UnusablePayload    the payload can't be stored, or is too large

Texts name the place of a fault in the payload, never its value.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

TOPIC_LENGTH: Final = 100
PAYLOAD_BYTES: Final = 16_384
"""Maximum size of a payload as JSON: it holds ids, and the database is where the rest is."""
DEPTH: Final = 20
"""Maximum nesting of a payload."""
_TOPIC: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{TOPIC_LENGTH - 1}}}")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


class MessageError(ValueError):
    """A message can't be stored as it is."""


class UnusableTopic(MessageError):
    """The topic names no handler."""

    def __str__(self) -> str:
        return f"a topic has at most {TOPIC_LENGTH} letters, digits and ._:- and begins with a letter or digit"


class UnusablePayload(MessageError):
    """The payload of a message of `topic` can't be stored; `reason` names the place."""

    def __init__(self, topic: str, reason: str) -> None:
        self.topic = topic
        self.reason = reason
        super().__init__(topic, reason)

    def __str__(self) -> str:
        return f"a message of {self.topic} can't be stored: {self.reason}. Store the rest, and send its id."


def check_topic(topic: str) -> None:
    """Raise `UnusableTopic` unless the text is a topic."""
    if not _TOPIC.fullmatch(topic):
        raise UnusableTopic


def check_payload(topic: str, payload: Mapping[str, Any]) -> None:
    """Raise `UnusablePayload` unless the payload is JSON that every database stores."""
    reason = _fault("the payload", payload)
    if reason is None:
        size = len(json.dumps(payload, ensure_ascii=False).encode())
        reason = f"it has {size} bytes, and may have {PAYLOAD_BYTES}" if size > PAYLOAD_BYTES else None
    if reason is not None:
        raise UnusablePayload(topic, reason)


def _fault(place: str, value: object, depth: int = 0) -> str | None:
    """Return the first fault of a value; None if it has none."""
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, str):
        return f"{place} holds NUL or half of a surrogate pair" if _UNSTORABLE.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{place} is not a finite number"
    if depth > DEPTH:
        return f"{place} is nested deeper than {DEPTH} times"
    if isinstance(value, Mapping):
        for key, held in value.items():
            if not isinstance(key, str):
                return f"{place} has a key of type {type(key).__name__}"
            fault = _fault(f"{place}.{key}" if key.isidentifier() else place, held, depth + 1) or _fault(
                f"a key of {place}", key
            )
            if fault is not None:
                return fault
        return None
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        faults = (_fault(f"{place}[{number}]", held, depth + 1) for number, held in enumerate(value))
        return next((fault for fault in faults if fault is not None), None)
    return f"{place} is of type {type(value).__name__}, which JSON doesn't have"
