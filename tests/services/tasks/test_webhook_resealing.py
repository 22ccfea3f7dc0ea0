"""Secrets of webhooks are sealed anew with the first key, and an operator is told when the old one can go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from local.suite import Suite
from services.tasks import commands
from services.tasks.webhooks import resealing
from services.tasks.webhooks.resealing import reseal_once
from shared.postgres import Database
from shared.sealing import Seal, Sealing
from tests.services.tasks.hooking import DELIVERING, LOOPBACK, Receiver, Webhooks
from tests.services.tasks.running import Installation, eventually

NEW = Fernet.generate_key().decode()
URL = "https://example.com/hooks"


@dataclass(frozen=True)
class Sealed:
    """An installation of its own, whose secrets `old` has sealed."""

    installation: Installation
    client: httpx.AsyncClient
    database: Database
    old: str

    async def secrets(self) -> list[str]:
        """All of them, as they lie there."""
        async with self.database.statements() as session:
            rows = (await session.execute(text("SELECT secret, older_secrets FROM webhook ORDER BY id"))).all()
        return [sealed for secret, older in rows for sealed in (secret, *(one["sealed"] for one in older))]

    async def by(self, keys: str) -> list[Sealing]:
        return [Seal(keys).sealing(sealed) for sealed in await self.secrets()]


@pytest.fixture
async def sealed(new_installation: Callable[[], Installation], suite: Suite) -> AsyncIterator[Sealed]:
    installation = new_installation()
    old = suite.environment("tasks")["SECRET_ENCRYPTION_KEY"].split(",")[0]
    async with installation.api(**LOOPBACK) as client, installation.database() as database:
        yield Sealed(installation, client, database, old)


async def test_every_secret_that_is_valid_is_sealed_with_the_first_key(
    sealed: Sealed, hooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "_AT_ONCE", 2)
    mine = Webhooks(sealed.client, hooks.user)
    made = [await mine.make(f"{URL}/{number}") for number in range(5)]
    await mine.call("POST", f"/{made[1]['id']}/rotate", json={})
    await mine.call("DELETE", f"/{made[4]['id']}")

    first = await reseal_once(sealed.database, Seal(f"{NEW},{sealed.old}"))
    again = await reseal_once(sealed.database, Seal(f"{NEW},{sealed.old}"))
    without = await reseal_once(sealed.database, Seal(sealed.old))

    assert (first.secrets, first.renewed, first.unknown, first.overtaken) == (5, 5, 0, 0)
    assert (again.secrets, again.renewed) == (5, 0)
    assert (without.renewed, without.unknown) == (0, 5)
    assert [one for one in await sealed.by(NEW) if one is not Sealing.FIRST] == [Sealing.UNKNOWN], "of the deleted one"
    assert (await mine.get(made[0]))["version"] == made[0]["version"]


async def test_a_worker_seals_anew_and_receivers_verify_as_before(
    sealed: Sealed, hooks: Webhooks, receiver: Receiver
) -> None:
    mine = Webhooks(sealed.client, hooks.user)
    webhook = await mine.make(f"{receiver.url}/a")
    keys: dict[str, Any] = {"secret_encryption_key": f"{NEW},{sealed.old}"}

    async with sealed.installation.worker(**DELIVERING | keys):
        await eventually(lambda: _all_new(sealed))
    async with sealed.installation.worker(**DELIVERING | {"secret_encryption_key": NEW}):
        await mine.test(webhook)
        [arrived] = await receiver.have("/a", 1)

    assert arrived.verified(webhook["secret"])["type"] == "webhook.test"


async def _all_new(sealed: Sealed) -> bool:
    return set(await sealed.by(NEW)) == {Sealing.FIRST}


async def test_a_secret_that_is_rotated_meanwhile_stays(
    sealed: Sealed, hooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Webhooks(sealed.client, hooks.user)
    webhook = await mine.make(URL)
    look, rotated = resealing._list_after, []

    async def look_and_rotate(*asked: Any) -> Any:
        found = await look(*asked)
        await mine.call("POST", f"/{webhook['id']}/rotate", json={"overlap_seconds": 0})
        rotated.extend(await sealed.secrets())
        return found

    monkeypatch.setattr(resealing, "_list_after", look_and_rotate)
    found = await reseal_once(sealed.database, Seal(f"{NEW},{sealed.old}"))

    assert (found.renewed, found.overtaken) == (0, 1)
    assert await sealed.secrets() == rotated


@pytest.mark.parametrize(
    ("keys", "code", "says"), [("{new},{old}", 0, "can be taken away"), ("{new}", 1, "be rotated")]
)
async def test_the_command_says_whether_old_keys_are_needed(
    sealed: Sealed,
    hooks: Webhooks,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    keys: str,
    code: int,
    says: str,
) -> None:
    await Webhooks(sealed.client, hooks.user).make(URL)
    settings = sealed.installation.settings(secret_encryption_key=keys.format(new=NEW, old=sealed.old))
    monkeypatch.setattr(commands, "Settings", lambda: settings)

    answered = await asyncio.to_thread(commands.main, ["reseal-secrets"])

    assert answered == code
    assert says in capsys.readouterr().out
