"""Nothing of the developer's own settings gets into a test."""

from pathlib import Path

import pytest

from app.testing import fixtures
from settings import Environment, Settings


def test_variables_and_files_of_the_developer_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEHOUSE_ENVIRONMENT", "production")
    monkeypatch.setenv("GATEHOUSE_DATABASE__USERNAME", "somebody")
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/app")
    (tmp_path / ".env").write_text("GATEHOUSE_PORT=1\n", encoding="utf-8")
    make = fixtures.settings.__wrapped__  # type: ignore[attr-defined]  # the function in the fixture
    settings: Settings = make("sqlite:///given.db", tmp_path)
    assert settings.environment is Environment.DEVELOPMENT
    assert (settings.database.username, settings.database.url.database) == (None, "given.db")
    assert settings.port == 8000
