"""Signatures, waits and addresses of webhooks, without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from standardwebhooks.webhooks import Webhook

from services.tasks.webhooks.domain import (
    AttemptError,
    Claimed,
    Covers,
    EventType,
    Waiting,
    Waits,
    overflowing,
    scopes_of,
)
from services.tasks.webhooks.sending import Sender, place_of
from services.tasks.webhooks.signing import new_secret, signature_headers
from shared.outbound import Allowed, OutboundClient, Owner
from shared.sealing import Seal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SEAL = Seal(Fernet.generate_key().decode())


def test_a_signature_is_the_published_one() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', [SECRET])

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_of_several_secrets_verifies() -> None:
    secrets, body = [new_secret() for _ in range(3)], '{"ü": 1}'.encode()
    headers = signature_headers("task_1_2", datetime.now(UTC), body, secrets)

    assert [Webhook(secret).verify(body, headers) for secret in secrets] == [{"ü": 1}] * 3


@pytest.mark.parametrize(
    ("failures", "retry_after", "wait"),
    [(1, 0, 5), (2, 0, 300), (1, 60, 60), (2, 60, 300), (1, 1e9, 86_400), (3, 60, None)],
)
def test_waits_grow_and_honour_what_the_receiver_asks(failures: int, retry_after: float, wait: float | None) -> None:
    assert Waits((5, 300)).after(failures, retry_after) == wait


@pytest.mark.parametrize(
    ("events", "covers", "scopes"),
    [
        ([EventType.TASKS], Covers.OWN, {"tasks:read"}),
        ([EventType.RUN_FAILED], Covers.OWN, {"tasks:read", "chat:read"}),
        ([EventType.WEBHOOK_DISABLED], Covers.TENANT, {"tasks:read", "tasks:tenant"}),
        (list(EventType), Covers.TENANT, {"tasks:read", "tasks:tenant", "chat:read", "chat:tenant"}),
    ],
    ids=["tasks", "a run", "of the tenant", "everything"],
)
def test_who_is_told_must_be_able_to_read_it(events: list[EventType], covers: Covers, scopes: set[str]) -> None:
    assert scopes_of(events, covers) == scopes


def claimed(url: str, sealed: str) -> Claimed:
    return Claimed(
        id="d",
        number=1,
        failures=0,
        event_id="task_1_2",
        type="task.failed",
        at=datetime.now(UTC),
        data={},
        webhook_id="w",
        url=url,
        sealed=(sealed,),
        tenant_id="t",
        user_id="u",
        key_id=None,
        session_id=None,
        scopes=["tasks:read"],
    )


async def test_a_name_that_turns_inwards_is_refused_each_time_it_is_asked() -> None:
    answers = iter([["93.184.215.14", "10.0.0.1"], ["127.0.0.1"], []])

    async def resolve(_: str, __: Owner) -> Sequence[str]:
        return next(answers)

    sender = Sender(OutboundClient(Allowed(), resolve), SEAL, seconds=5)
    delivery = claimed("https://turns.example.com/", SEAL.close("t", place_of("w"), SECRET))

    outcomes = [await sender.send(delivery) for _ in range(3)]

    assert [one.error for one in outcomes] == [
        AttemptError.ADDRESS_REFUSED,
        AttemptError.ADDRESS_REFUSED,
        AttemptError.HOST_UNKNOWN,
    ]
    assert {one.status_code for one in outcomes} == {None}


@pytest.mark.parametrize("sealed_for", ["another", ""], ids=["another webhook", "another key"])
async def test_nothing_is_sent_unsigned(sealed_for: str) -> None:
    async def resolve(_: str, __: Owner) -> Sequence[str]:
        raise AssertionError("it was to be sent")

    seal = SEAL if sealed_for else Seal(Fernet.generate_key().decode())
    sealed = seal.close("t", place_of(sealed_for or "w"), SECRET)

    outcome = await Sender(OutboundClient(Allowed(), resolve), SEAL, seconds=5).send(
        claimed("https://example.com/", sealed)
    )

    assert outcome.error == AttemptError.SECRET_UNREADABLE


def test_where_too_much_waits_for_a_tenant_its_fullest_webhooks_are_disabled() -> None:
    counts = {"a": {"a1": 101, "a2": 60, "a3": 90, "a4": 70}, "b": {"b1": 100, "b2": 100}, "c": {"c1": 1}}
    found = [Waiting(id, tenant, count, 0.0) for tenant, each in counts.items() for id, count in each.items()]

    assert overflowing(found, most=100, most_of_a_tenant=200) == ["a1", "a3"]
