"""Durations in the environment: seconds, or ISO 8601."""

from datetime import timedelta

import pytest

from settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("text", "meant"),
    [("2", timedelta(seconds=2)), ("0.5", timedelta(seconds=0.5)), ("P30D", timedelta(days=30))],
)
def test_a_number_counts_seconds(monkeypatch: pytest.MonkeyPatch, text: str, meant: timedelta) -> None:
    monkeypatch.setenv("GATEHOUSE_OUTBOX__REDELIVER_AFTER", text)
    assert Settings().outbox.redeliver_after == meant


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan"])
def test_what_is_no_duration_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GATEHOUSE_OUTBOX__REDELIVER_AFTER", text)
    with pytest.raises(SettingsError, match="REDELIVER_AFTER"):
        Settings()


def test_limits_that_are_not_in_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_WORKER__VISIBILITY_TIMEOUT", "60")
    with pytest.raises(SettingsError, match="VISIBILITY_TIMEOUT"):
        Settings()


def test_pauses_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_OUTBOX__BACKOFF", "10")
    monkeypatch.setenv("GATEHOUSE_OUTBOX__BACKOFF_MAX", "9")
    with pytest.raises(SettingsError, match="BACKOFF must not be above BACKOFF_MAX"):
        Settings()


@pytest.mark.parametrize("text", ["0", "0.5", "-60"])
def test_a_lease_too_short_to_be_renewed_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_OUTBOX__LEASE", text)
    with pytest.raises(SettingsError, match="LEASE"):
        Settings()
