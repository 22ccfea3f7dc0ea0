"""What a service refused is told to auth: at once, and a flood of it in a handful of messages that say how often."""

import secrets
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from shared.errors import MissingScope
from shared.identity import ACCESS_REFUSED, TOKEN_FORGED, Teller, TokenForged, refusing, telling
from tests.services.shared.hearing import ADA, Heard

ASKED = "GET /api/v1/agents/list"
FLOOD = 10_000


async def told(teller: Teller, heard: Heard) -> list[dict[str, Any]]:
    """Every refusal that was told until now."""
    last = secrets.token_hex(8)
    teller.tell(ADA, "agent.deleted", last)
    await heard.until(last)
    return [body for body in heard.bodies if body["action"] in (ACCESS_REFUSED, TOKEN_FORGED)]


async def test_of_a_forged_token_nothing_is_believed_but_the_key_it_names(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller, refusing(teller) as refusals:
        refusals.note(TokenForged("key-1"), None, source="192.0.2.1", asked=ASKED)

        [body] = await told(teller, heard)

    assert (body["action"], body["target"], body["source"]) == (TOKEN_FORGED, "key-1", "192.0.2.1")
    assert (body["actor"], body["tenant_id"], body["act"], body["key_id"]) == (None, None, None, None)
    assert body["details"] == {"asked": ASKED}


async def test_who_lacks_a_scope_is_named_with_the_service_and_the_key(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller, refusing(teller) as refusals:
        refusals.note(MissingScope("agents:write"), ADA, source="192.0.2.1", asked=ASKED)

        [body] = await told(teller, heard)

    assert (body["action"], body["actor"], body["tenant_id"]) == (ACCESS_REFUSED, "ada", "tenant")
    assert (body["target"], body["act"], body["key_id"]) == ("key", "service:tasks", "key")


async def test_a_flood_is_two_messages_that_say_how_often(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller:
        async with refusing(teller) as refusals:
            for _ in range(FLOOD):
                refusals.note(TokenForged("key-1"), None, source="192.0.2.1", asked=ASKED)
        bodies = await told(teller, heard)

    assert [body["times"] for body in bodies] == [1, FLOOD - 1]


async def test_a_flood_of_different_ones_is_fifty_and_all_others(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller:
        async with refusing(teller) as refusals:
            for number in range(FLOOD):
                refusals.note(TokenForged("key-1"), None, source=f"source {number}", asked=ASKED)
        bodies = await told(teller, heard)

    others = [body for body in bodies if body["source"] is None]
    assert len(bodies) == 52
    assert sum(body["times"] for body in bodies) == FLOOD
    assert [(body["times"], body["target"], body["details"]) for body in others] == [
        (1, None, {"others": True}),
        (FLOOD - 51, None, {"others": True}),
    ]


async def test_a_flood_of_one_tenant_hides_nobody_elses(heard: Heard) -> None:
    neighbour = replace(ADA, tenant_id="another")
    async with telling(heard.url, "test", CollectorRegistry()) as teller, refusing(teller) as refusals:
        for number in range(FLOOD):
            refusals.note(MissingScope("agents:write"), ADA, source=f"source {number}", asked=ASKED)
        refusals.note(MissingScope("agents:write"), neighbour, source="192.0.2.1", asked=ASKED)

        bodies = await told(teller, heard)

    [of_neighbour] = [body for body in bodies if body["tenant_id"] == "another"]
    assert (of_neighbour["source"], of_neighbour["details"]) == ("192.0.2.1", {"asked": ASKED})
    assert {body["tenant_id"] for body in bodies} == {"tenant", "another"}
    assert len(bodies) == 52


async def test_of_many_tenants_it_is_told_how_often_it_was_in_all(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller:
        async with refusing(teller) as refusals:
            for number in range(FLOOD):
                by = replace(ADA, tenant_id=f"tenant {number}")
                refusals.note(MissingScope("agents:write"), by, source="192.0.2.1", asked=ASKED)
        bodies = await told(teller, heard)

    assert len(bodies) == 202
    assert sum(body["times"] for body in bodies) == FLOOD


async def test_what_did_not_come_again_is_forgotten(heard: Heard) -> None:
    async with telling(heard.url, "test", CollectorRegistry()) as teller, refusing(teller) as refusals:
        for _ in range(3):
            refusals.note(TokenForged("key-1"), None, source="192.0.2.1", asked=ASKED)
            await refusals.tell_repeated()

        bodies = await told(teller, heard)

    assert [body["times"] for body in bodies] == [1, 1, 1]
