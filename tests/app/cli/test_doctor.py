"""`gatehouse doctor`, and `config show --sources`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Done, Gatehouse


def findings(done: Done) -> dict[str, dict[str, Any]]:
    """What was found, by its subject."""
    document = json.loads(done.out)
    assert document["healthy"] is (done.code == 0)
    assert done.code in {0, 4}
    for finding in document["findings"]:
        assert set(finding) == {"subject", "verdict", "detail", "fix"}
        assert bool(finding["fix"]) is (finding["verdict"] != "ok"), "each fault has its fix"
    return {finding["subject"]: finding for finding in document["findings"]}


def test_a_set_up_that_works_is_healthy_on_both_databases(gatehouse: Gatehouse, backend: str) -> None:
    done = gatehouse("doctor", "--json")
    found = findings(done)
    assert done.code == 0, done.out
    expected = {"python", "variables", "settings", "extras", "url", "database", "migrations", "pool", "clock",
                "broker", "mail", "secrets", "files", "contacts"}  # fmt: skip
    assert set(found) == expected | ({"role"} if backend == "postgresql" else set())
    assert backend in found["database"]["detail"]
    table = gatehouse("doctor")
    assert table.code == 0
    assert table.out.splitlines()[0].split("\t") == ["subject", "verdict", "detail", "fix"]


def test_a_database_that_is_behind_names_the_command(
    shell: Gatehouse, unmigrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", unmigrated_url)
    done = shell("doctor", "--json")
    assert done.code == 4
    assert findings(done)["migrations"]["fix"] == "gatehouse db upgrade"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_pool_that_is_more_than_the_server_takes_is_told(gatehouse: Gatehouse, backend: str) -> None:
    done = gatehouse("doctor", "--processes", "900", "--workers", "100", "--json")
    pool = findings(done)["pool"]
    assert (done.code, pool["verdict"]) == (4, "fault")
    assert "15 connections × 1000 processes = 15000, and the server takes " in pool["detail"]
    assert "raise max_connections" in pool["fix"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_superuser_is_a_warning_and_in_production_a_fault(
    gatehouse: Gatehouse, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(gatehouse("doctor", "--json"))["role"]["verdict"] == "warning"
    monkeypatch.setenv("GATEHOUSE_ENVIRONMENT", "production")
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "canary" * 9)
    done = gatehouse("doctor", "--json")
    assert (done.code, findings(done)["role"]["verdict"]) == (4, "fault")
    assert "canary" not in done.out + done.err


@pytest.mark.parametrize(
    ("variables", "subject", "words", "fix"),
    [
        ({"DATABASE_URL": "postgresql://x:canary@127.0.0.1:1/d"}, "database", "can't be reached", "start the database"),
        ({"DATABASE_URL": "canary"}, "settings", "not a database URL", "correct GATEHOUSE_DATABASE__URL"),
        (
            {"DATABASE_URL": "oracle://x:canary@127.0.0.1/d"},
            "extras",
            "oracledb",
            "in the checkout: pip install",
        ),
        ({"GATEHOUSE_WORKER__BROKER_URL": "redis://:canary@127.0.0.1:1/0"}, "broker", "can't be", "start it, or corr"),
        ({"GATEHOUSE_PORT": "canary"}, "settings", "GATEHOUSE_PORT", "correct GATEHOUSE_PORT"),
    ],
)
def test_what_does_not_work_is_a_fault_with_its_fix_and_no_stack(
    shell: Gatehouse, variables: dict[str, str], subject: str, words: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = shell("doctor", "--json")
    finding = findings(done)[subject]
    assert (done.code, finding["verdict"]) == (4, "fault")
    assert words in finding["detail"]
    assert finding["fix"].startswith(fix)
    assert "canary" not in done.out + done.err
    assert "Traceback" not in done.err


def test_what_should_not_stay_so_is_a_warning(
    gatehouse: Gatehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_PROT", "9")
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o644)
    done = gatehouse("doctor", "--json")
    assert done.code == 0
    found = [finding for finding in json.loads(done.out)["findings"] if finding["verdict"] == "warning"]
    fixes = {finding["subject"]: finding["fix"] for finding in found}
    assert fixes["variables"] == "rename it to GATEHOUSE_PORT"
    assert fixes["secrets"] == "chmod 600 .env"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_config_show_says_where_settings_come_from(
    gatehouse: Gatehouse, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_PROT", "canary")
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "canary" * 9)
    done = gatehouse("config", "show", "--sources", "--json")
    lines = {line["setting"]: line for line in done.json()}
    assert lines["GATEHOUSE_DATABASE__URL"]["source"] == "environment (DATABASE_URL)"
    assert lines["GATEHOUSE_PORT"] == {"setting": "GATEHOUSE_PORT", "value": 8000, "source": "default"}
    assert done.err == "warning: GATEHOUSE_PROT is no setting. Did you mean GATEHOUSE_PORT?\n"
    table = gatehouse("config", "show", "--sources")
    assert "GATEHOUSE_SECRET_KEY\t**********\tenvironment\n" in table.out
    assert "canary" not in done.out + table.out + table.err
