"""Payloads of messages are checked where they are appended, by name of the place and not by its value."""

from typing import Any

import pytest

from domain import OutboxMessage
from domain.message_payload import PAYLOAD_BYTES, UnusablePayload, UnusableTopic

DEEP: Any = {}
for _ in range(30):
    DEEP = {"deeper": DEEP}


@pytest.mark.parametrize("topic", ["", " ", "a b", "a\n", "\0", "ä.topic", ".topic", "t" * 101, "\ud800"])
def test_a_topic_that_names_no_handler_is_refused(topic: str) -> None:
    with pytest.raises(UnusableTopic, match="at most 100 letters"):
        OutboxMessage.create(topic, {})


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"a": "x\0canary"}, "the payload.a holds NUL"),
        ({"a": ["b", "\ud800"]}, r"the payload.a\[1\] holds NUL or half of a surrogate pair"),
        ({"\0": 1}, "a key of the payload holds NUL"),
        ({1: "x"}, "the payload has a key of type int"),
        ({"a": float("nan")}, "the payload.a is not a finite number"),
        ({"a": {"b": float("inf")}}, "the payload.a.b is not a finite number"),
        ({"a": b"canary"}, "the payload.a is of type bytes"),
        ({"a": {1, 2}}, "the payload.a is of type set"),
        ({"a": object()}, "the payload.a is of type object"),
        (DEEP, "nested deeper than 20 times"),
        ({"a": "x" * PAYLOAD_BYTES}, f"and may have {PAYLOAD_BYTES}"),
        ({"a": "ü" * (PAYLOAD_BYTES // 2)}, f"and may have {PAYLOAD_BYTES}"),
    ],
)
def test_a_payload_that_cannot_be_stored_is_refused_and_its_place_named(payload: Any, place: str) -> None:
    with pytest.raises(UnusablePayload, match=place) as refused:
        OutboxMessage.create("a.topic", payload)
    assert "canary" not in str(refused.value)
    assert "Store the rest, and send its id." in str(refused.value)


def test_what_json_has_is_taken_as_it_is() -> None:
    payload = {"id": "1", "ids": [1, 2**70, None, True, 0.5], "nested": {"ключ": "значение"}, "": ("a",)}
    message = OutboxMessage.create("users.import-v2:a_B", payload)
    assert (message.payload, message.job_id) == (payload, None)


@pytest.mark.parametrize(("job_id", "meant"), [("7", 7), (7, None), ("x", None), ("²", None), (None, None)])
def test_a_payload_names_its_job_by_the_text_of_an_id(job_id: object, meant: int | None) -> None:
    assert OutboxMessage.create("a.topic", {"job_id": job_id}).job_id == meant
