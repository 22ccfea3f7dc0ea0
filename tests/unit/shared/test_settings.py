"""Settings: from the environment or from files, bounded, secrets without defaults."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.settings import ServiceSettings

REQUIRED = {"ENVIRONMENT": "local", "REDIS_URL": "redis://r", "RABBITMQ_URL": "amqp://r", "CURSOR_SECRET": "c" * 32}
SECRETS = REQUIRED.keys() - {"ENVIRONMENT"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_secret_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cursor").write_text("f" * 40 + "\n")
    environment.delenv("CURSOR_SECRET")
    environment.setenv("CURSOR_SECRET_FILE", str(tmp_path / "cursor"))

    assert ServiceSettings().cursor_secret.get_secret_value() == "f" * 40


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_missing_secret_stops_the_start(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)

    with pytest.raises(ValidationError):
        ServiceSettings()


def test_settings_never_print_their_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REDIS_URL", "redis://:hunter2@r")

    assert "hunter2" not in repr(ServiceSettings())


@pytest.mark.parametrize("limit", ["", "off", "10", "0/minute", "5/second; 100/minute", "1/year", "10000000000/minute"])
def test_a_limit_that_means_nothing_stops_the_start(environment: pytest.MonkeyPatch, limit: str) -> None:
    environment.setenv("RATE_LIMIT_READ", limit)

    with pytest.raises(ValidationError):
        ServiceSettings()
