"""A new key: every secret is sealed with it, in pieces, and the old one can be taken away."""

import asyncio

import httpx
import pytest
from cryptography.fernet import Fernet
from neo4j import AsyncManagedTransaction
from pydantic import SecretStr

from local.suite import Suite
from services.agents import commands
from services.agents.graph import Graph
from services.agents.secrets import resealing
from services.agents.secrets.resealing import reseal_once
from services.agents.settings import Settings
from shared.sealing import Seal
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.agents.conftest import Create
from tests.services.agents.test_calls import called, define, echoed
from tests.services.agents.test_secrets import rows, write
from tests.services.agents.toolbox import TOOLBOX, serving

NEW = Fernet.generate_key().decode()


@pytest.fixture
def old(settings: Settings) -> str:
    return settings.secret_encryption_key.get_secret_value()


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without secrets."""
    return await register_user()


async def opened(graph: Graph, user: User, keys: str) -> dict[str, str | None]:
    """The tenant's secrets, as these keys open them."""
    seal = Seal(keys)
    return {
        row["name"]: seal.open(user.tenant_id, row["name"], row["sealed"]) for row in await rows(graph, user.tenant_id)
    }


async def test_all_are_sealed_with_the_first_key_and_the_old_one_goes(
    client: httpx.AsyncClient, owner: User, graph: Graph, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "_AT_ONCE", 2)
    for number in range(5):
        await write(client, owner, f"KEY{number}", f"the-value-{number}")

    try:
        first = await reseal_once(graph, Seal(f"{NEW},{old}"))
        again = await reseal_once(graph, Seal(f"{NEW},{old}"))

        assert first.renewed >= 5
        assert (again.secrets, again.renewed) == (first.secrets, 0)
        assert await opened(graph, owner, NEW) == {f"KEY{number}": f"the-value-{number}" for number in range(5)}
        assert set((await opened(graph, owner, old)).values()) == {None}
    finally:
        await reseal_once(graph, Seal(f"{old},{NEW}"))


async def test_what_is_written_meanwhile_stays(
    client: httpx.AsyncClient, owner: User, patient_graph: Graph, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas seal it to and fro, each with its own order of keys, while its owner writes it."""
    monkeypatch.setattr(resealing, "_AT_ONCE", 3)
    await write(client, owner, "KEY", "the-value-0")
    writing = True

    async def seal(keys: str) -> None:
        while writing:
            await reseal_once(patient_graph, Seal(keys))

    sealing = [asyncio.create_task(seal(keys)) for keys in (f"{NEW},{old}", f"{old},{NEW}")]
    try:
        for number in range(1, 15):
            assert (await write(client, owner, "KEY", f"the-value-{number}")).status_code == 204
            assert await opened(patient_graph, owner, f"{old},{NEW}") == {"KEY": f"the-value-{number}"}
    finally:
        writing = False
        await asyncio.gather(*sealing)
        await reseal_once(patient_graph, Seal(f"{old},{NEW}"))


async def test_a_service_that_starts_with_a_new_key_does_it_by_itself(
    client: httpx.AsyncClient, owner: User, create: Create, suite: Suite, graph: Graph, old: str
) -> None:
    await write(client, owner, "KEY", "the-value", hosts=["127.0.0.1"])
    try:
        async with open_service(suite, is_watched=False)("agents", secret_encryption_key=f"{NEW},{old}"):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await opened(graph, owner, NEW))["KEY"] is None:  # noqa: ASYNC110 - the graph tells nobody
                    await asyncio.sleep(0.1)

        without_old = {"secret_encryption_key": NEW, "outbound_allow": "127.0.0.1"}
        async with serving(TOOLBOX) as address, open_service(suite, is_watched=False)("agents", **without_old) as after:
            headers = {"X-Key": "${secret:KEY}"}
            body = {"kind": "http", "description": "x", "url": f"{address}/echo", "headers": headers}
            await define(after, owner, "tool", body)
            agent = await create("Caller", by=owner, tools=["tool"])
            sent = echoed(await called(after, owner, agent, "tool", {}))
    finally:
        await reseal_once(graph, Seal(f"{old},{NEW}"))

    assert sent["headers"]["x-key"] == "[KEY]"


@pytest.mark.parametrize(
    ("keys", "code", "says"), [("{new},{old}", 0, "can be taken away"), ("{new}", 1, "written again")]
)
async def test_the_command_says_whether_old_keys_are_needed(
    client: httpx.AsyncClient,
    owner: User,
    graph: Graph,
    old: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: Settings,
    keys: str,
    code: int,
    says: str,
) -> None:
    await forget_all(graph)
    await write(client, owner, "KEY")
    key = SecretStr(keys.format(new=NEW, old=old))
    given = settings.model_copy(update={"secret_encryption_key": key})
    monkeypatch.setattr(commands, "Settings", lambda: given)
    try:
        answered = await asyncio.to_thread(commands.main, ["reseal-secrets"])
    finally:
        await reseal_once(graph, Seal(f"{old},{NEW}"))

    assert answered == code
    assert says in capsys.readouterr().out


async def forget_all(graph: Graph) -> None:
    """Other tests leave secrets behind that no key opens."""

    async def work(transaction: AsyncManagedTransaction) -> None:
        await (await transaction.run("MATCH (s:ToolSecret) DELETE s")).consume()

    await graph.write(work)
