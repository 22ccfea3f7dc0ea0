"""The closest word on how long a task is kept decides; what no task could meet is refused at the start."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from services.tasks.keeping import Keeping
from services.tasks.settings import WorkerSettings

TENANT = "01890a5d-ac96-774b-bcce-b302099a8057"
KEEPING = Keeping(90, {"echo": 1, "kept": 400}, {TENANT: {"*": 30, "echo": 365}, "other": {"kept": 2}})


@pytest.mark.parametrize(
    ("tenant", "kind", "own", "days"),
    [
        (TENANT, "echo", 5, 365),
        (TENANT, "kept", 5, 30),
        ("other", "kept", None, 2),
        ("other", "echo", 5, 1),
        ("another", "kept", None, 400),
        ("another", "else", 5, 5),
        ("another", "else", None, 90),
    ],
)
def test_the_closest_word_decides(tenant: str, kind: str, own: float | None, days: float) -> None:
    assert KEEPING.days_of(tenant, kind, own) == days


def test_named_kinds_are_known() -> None:
    assert KEEPING.kinds() == {"echo", "kept"}


@pytest.fixture
def settings() -> Callable[..., WorkerSettings]:
    secret = SecretStr("postgresql+asyncpg://somebody:a-long-secret-of-the-tests@127.0.0.1/")
    needed: dict[str, Any] = dict.fromkeys(("database_url", "redis_url", "rabbitmq_url"), secret)
    needed |= dict.fromkeys(("cursor_secret", "client_secret", "secret_encryption_key"), SecretStr("s" * 40))
    return lambda **given: WorkerSettings(environment="local", **needed, **given)


def test_a_tenants_id_is_read_however_it_is_written(settings: Callable[..., WorkerSettings]) -> None:
    keeping = settings(retention_days_of_tenants={TENANT.upper(): {"*": 30}}).keeping

    assert keeping.days_of(TENANT, "echo") == 30


@pytest.mark.parametrize(
    "given",
    [
        {"retention_days_of_kinds": {"echo": 0.5}},
        {"retention_days_of_kinds": {"": 5}},
        {"retention_days_of_tenants": {"acme": {"*": 30}}},
        {"retention_days_of_tenants": {TENANT: 30}},
        {"retention_days_of_tenants": {TENANT: {"*": 5000}}},
    ],
    ids=["too-short", "no-kind", "no-tenant", "no-kinds", "too-long"],
)
def test_what_nobody_could_mean_is_refused(settings: Callable[..., WorkerSettings], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="retention_days_of"):
        settings(**given)
