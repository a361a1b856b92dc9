"""`OUTBOX__TOPICS`: what differs for single topics, checked against what is in force for all."""

import json
from datetime import timedelta

import pytest

from settings import Settings, SettingsError


def test_a_topic_has_what_is_its_own_and_else_what_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"queue": "imports", "max_attempts": 3, "backoff": 5}
    monkeypatch.setenv("GATEHOUSE_OUTBOX__TOPICS", json.dumps({"users.import": own}))
    outbox = Settings().outbox
    one, other = outbox.of("users.import"), outbox.of("user.registered")
    assert (one.queue, one.max_attempts, one.backoff) == ("imports", 3, timedelta(seconds=5))
    assert (other.queue, other.max_attempts, other.backoff) == (None, outbox.max_attempts, outbox.backoff)
    assert one.backoff_max == outbox.backoff_max
    assert outbox.queues == {"imports"}


@pytest.mark.parametrize(
    ("topics", "problem"),
    [
        ({"a.topic": {"soft_time_limit": 400}}, "soft_time_limit of a.topic must be below its hard_time_limit"),
        ({"a.topic": {"hard_time_limit": 3600}}, "and that below WORKER__VISIBILITY_TIMEOUT"),
        ({"a.topic": {"backoff": 301}}, "backoff of a.topic must not be above its backoff_max"),
        ({"a.topic": {"queue": "a b"}}, "TOPICS"),
        ({"a topic": {"queue": "q"}}, "TOPICS"),
        ({"a.topic": {"colour": "red"}}, "TOPICS"),
        ({"a.topic": {"max_attempts": 0}}, "TOPICS"),
    ],
)
def test_what_contradicts_itself_or_the_settings_of_all_is_refused(
    topics: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_OUTBOX__TOPICS", json.dumps(topics))
    with pytest.raises(SettingsError, match=problem):
        Settings()
