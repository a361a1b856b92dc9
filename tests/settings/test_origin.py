"""Where settings come from, and variables that are none."""

from pathlib import Path

import pytest

from settings.origin import origins, strangers, variables


def test_each_setting_names_the_source_that_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GATEHOUSE_DATABASE__POOL_SIZE=7\nLOG_LEVEL=debug\nGATEHOUSE_HOST=0.0.0.0\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "gatehouse_database__password").write_text("canary")
    monkeypatch.setenv("GATEHOUSE_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("DATABASE_URL", "sqlite:///x.db")
    monkeypatch.setenv("GATEHOUSE_HOST", "127.0.0.2")
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("GATEHOUSE_PORT", "2")
    monkeypatch.setenv("GATEHOUSE_CSV", '{"max_rows": 4}')
    assert origins() == {
        "GATEHOUSE_DATABASE__URL": "environment (DATABASE_URL)",
        "GATEHOUSE_HOST": "environment",
        "GATEHOUSE_PORT": "environment",
        "GATEHOUSE_CSV__MAX_ROWS": "environment",
        "GATEHOUSE_DATABASE__POOL_SIZE": ".env",
        "GATEHOUSE_LOG_LEVEL": ".env (LOG_LEVEL)",
        "GATEHOUSE_DATABASE__PASSWORD": "secrets directory",
    }


def test_a_misspelt_variable_is_told_with_what_it_may_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strangers() == []
    monkeypatch.setenv("GATEHOUSE_DATABASE__POLL_SIZE", "canary")
    monkeypatch.setenv("GATEHOUSE_XYZZY", "canary")
    monkeypatch.setenv("GATEHOUSE_SECRETS_DIR", "secrets")
    monkeypatch.setenv("GATEHOUSE_TEST_POSTGRESQL_URL", "x")
    assert list(map(str, strangers())) == [
        "GATEHOUSE_DATABASE__POLL_SIZE is no setting. Did you mean GATEHOUSE_DATABASE__POOL_SIZE?",
        "GATEHOUSE_XYZZY is no setting. Remove it, or see: gatehouse config show",
    ]


def test_every_setting_has_a_variable() -> None:
    assert {"GATEHOUSE_PORT", "GATEHOUSE_DATABASE__URL", "GATEHOUSE_CSV__MAX_BYTES"} <= set(variables())
