"""How an operator names providers, and what stops the start."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.chat.settings import Settings
from tests.architecture.apps import ENVIRONMENT

ENTRY = {"name": "big", "url": "https://api.example/v1"}


@pytest.fixture
def with_providers(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def made(*entries: dict[str, Any]) -> Settings:
        monkeypatch.setenv("LLM_PROVIDERS", json.dumps(entries))
        return Settings()

    return made


def test_a_key_may_stand_in_a_file(with_providers: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("from-a-file\n")

    (provider,) = with_providers(ENTRY | {"api_key_file": str(key)}).llm_providers

    assert provider.api_key.get_secret_value() == "from-a-file"


@pytest.mark.parametrize(
    "entries",
    [
        [ENTRY, ENTRY],
        [ENTRY | {"name": "default"}],
        [ENTRY | {"name": "A b"}],
        [ENTRY | {"url": "ftp://api.example"}],
        [ENTRY | {"surprise": 1}],
        [ENTRY | {"models": []}],
        [ENTRY | {"headers": {"x-a": "one\r\nx-b: two"}}],
        [ENTRY | {"api_key_file": "/nonexistent"}],
        [ENTRY | {"api_key_file": "/nonexistent", "api_key": "both-are-given"}],
    ],
)
def test_what_cannot_be_meant_stops_the_start(with_providers: Any, entries: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError) as refused:
        with_providers(*entries)

    assert "both-are-given" not in str(refused.value)


def test_a_weak_key_stops_the_start_outside_local_mode(with_providers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(ValidationError) as refused:
        with_providers(ENTRY | {"api_key": "my-api-key-12345678"})

    assert any(
        error["type"] == "weak_secret" and error["loc"] == ("llm_providers",) for error in refused.value.errors()
    )
