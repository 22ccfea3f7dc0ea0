"""Tokens: given and verified strictly."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from local.suite import Suite
from services.auth.trust.signing.ring import KeyRing
from shared.postgres import Database
from tests.fixtures.identity import User, register_with, service_headers

TOKEN = "/api/v1/auth/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_unknown_wrong_and_right_account_differ_in_nothing_but_success(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    form = {"grant_type": "password", "password": "wrong password"}

    wrong = await client.post(TOKEN, data=form | {"username": user.email})
    unknown = await client.post(TOKEN, data=form | {"username": "nobody@example.com"})

    hidden = ("trace_id",)
    bodies = [
        {name: value for name, value in answer.json().items() if name not in hidden} for answer in (wrong, unknown)
    ]
    assert wrong.status_code == unknown.status_code == 401
    assert bodies[0] == bodies[1]
    assert bodies[0]["error"] == "invalid_grant"


async def test_a_token_holds_only_the_scopes_asked_for(client: httpx.AsyncClient) -> None:
    user = await register_with(client)(scope="agents:read")

    refused = await client.get("/api/v1/auth/me", headers=user.headers)

    assert refused.status_code == 403
    assert "auth:profile" in refused.json()["detail"]


async def test_nobody_is_granted_a_scope_beyond_their_own(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    form = {"grant_type": "password", "username": user.email, "password": user.password, "scope": "admin"}

    answer = await client.post(TOKEN, data=form)

    assert (answer.status_code, answer.json()["code"]) == (422, "auth.scope_not_allowed")


async def test_logout_ends_the_session(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()

    left = await client.post("/api/v1/auth/logout", headers=user.headers)
    after = await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": user.refresh_token})

    me = await client.get("/api/v1/auth/me", headers=user.headers)
    assert (left.status_code, after.status_code, me.status_code) == (204, 401, 401)


async def test_the_published_key_verifies_our_tokens(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    keys = jwt.PyJWKSet.from_dict((await client.get("/api/v1/auth/jwks.json")).json())

    header = jwt.get_unverified_header(user.token)
    claims = jwt.decode(user.token, keys[header["kid"]], algorithms=["EdDSA"], audience="sutazai")

    assert (header["typ"], claims["sub"], claims["tid"]) == ("at+jwt", user.user_id, user.tenant_id)


@pytest.fixture
async def user(client: httpx.AsyncClient) -> User:
    """Somebody whose token is signed with the key of this moment: other tests rotate."""
    return await register_with(client)()


@pytest.fixture
async def our_key(suite: Suite, database: Database) -> Ed25519PrivateKey:
    """The very key that auth signs with: a forgery made with it fails for the one thing that is wrong with it."""
    return (await KeyRing(database, suite.environment("auth")["KEY_ENCRYPTION_KEY"]).load()).current.private_key


def forged(user: User, key: Any, header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    """The user's token with parts changed, signed anew."""
    original = jwt.get_unverified_header(user.token)
    payload = jwt.decode(user.token, options={"verify_signature": False}) | (claims or {})
    headers = {"kid": original["kid"], "typ": original["typ"]} | (header or {})
    algorithm = "HS256" if isinstance(key, bytes) else "EdDSA"
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, key, algorithm, headers)


def unsigned(user: User, _key: Any) -> str:
    _, payload, _ = user.token.split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()).decode().rstrip("=")
    return f"{header}.{payload}."


def signed_with_public_key(user: User, key: Ed25519PrivateKey) -> str:
    return forged(user, key.public_key().public_bytes_raw())


HOUR = 3600
FORGERIES: dict[str, Callable[[User, Any], str]] = {
    "another key": lambda user, _: forged(user, Ed25519PrivateKey.generate()),
    "no signature": unsigned,
    "the public key as a shared secret": signed_with_public_key,
    "wrong type": lambda user, key: forged(user, key, {"typ": "JWT"}),
    "unknown key id": lambda user, key: forged(user, key, {"kid": "nobody"}),
    "a critical header": lambda user, key: forged(user, key, {"crit": ["exp"]}),
    "expired": lambda user, key: forged(user, key, claims={"exp": int(time.time()) - HOUR}),
    "not valid yet": lambda user, key: forged(user, key, claims={"nbf": int(time.time()) + HOUR}),
    "other audience": lambda user, key: forged(user, key, claims={"aud": "elsewhere"}),
    "other issuer": lambda user, key: forged(user, key, claims={"iss": "https://elsewhere.example"}),
    "no tenant": lambda user, key: forged(user, key, claims={"tid": None}),
    "cut short": lambda user, _: user.token[:-4],
    "enormous": lambda _user, _key: "a" * 10_000,
    "nonsense": lambda _user, _key: "not.a.token",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_anything_but_our_own_valid_token_is_401(
    client: httpx.AsyncClient, our_key: Ed25519PrivateKey, user: User, forge: Callable[[User, Any], str]
) -> None:
    answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {forge(user, our_key)}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "common.unauthenticated")


async def test_a_key_brought_along_in_the_header_is_ignored(client: httpx.AsyncClient, user: User) -> None:
    stranger = Ed25519PrivateKey.generate()
    jwk = OKPAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    token = forged(user, stranger, {"jwk": jwk, "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/x5u"})

    answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401


async def test_a_token_made_with_our_key_and_nothing_wrong_is_taken(
    client: httpx.AsyncClient, our_key: Ed25519PrivateKey, user: User
) -> None:
    answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {forged(user, our_key)}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "refresh_token", "refresh_token": "x" * 300},
        {"grant_type": "password", "username": "a@example.com", "password": "x", "extra": "y"},
    ],
    ids=["out of bounds", "unknown field"],
)
async def test_a_token_request_that_our_own_rules_refuse_is_422(
    client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answer = await client.post(TOKEN, data=form)

    assert answer.status_code == 422
    assert answer.json()["errors"]


OAUTH_REFUSALS = {
    "nothing": ("", "invalid_request", "/grant_type"),
    "no grant type": ("username=a%40example.com&password=x", "invalid_request", "/grant_type"),
    "an empty grant type": ("grant_type=&password=x", "invalid_request", "/grant_type"),
    "an unknown grant type": ("grant_type=client", "unsupported_grant_type", "/grant_type"),
    "no password": ("grant_type=password&username=a%40example.com", "invalid_request", "/password"),
    "no refresh token": ("grant_type=refresh_token", "invalid_request", "/refresh_token"),
    "two grant types": ("grant_type=password&grant_type=password", "invalid_request", "/grant_type"),
    "two passwords": (
        "grant_type=password&username=a%40example.com&password=x&password=y",
        "invalid_request",
        "/password",
    ),
    "two of what nobody knows": ("grant_type=refresh_token&a~b/=1&a~b/=2", "invalid_request", "/a~0b~1"),
}


@pytest.mark.parametrize(("form", "error", "pointer"), OAUTH_REFUSALS.values(), ids=OAUTH_REFUSALS.keys())
async def test_a_token_request_that_oauth_refuses_is_400_in_its_words(
    client: httpx.AsyncClient, form: str, error: str, pointer: str
) -> None:
    answer = await client.post(TOKEN, content=form, headers=FORM)

    problem = answer.json()
    assert (answer.status_code, problem["error"]) == (400, error)
    assert [one["pointer"] for one in problem["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["revoke", "introspect"])
async def test_a_token_that_is_there_twice_is_400(client: httpx.AsyncClient, suite: Suite, path: str) -> None:
    service = await service_headers(client, suite, "chat")
    answer = await client.post(f"/api/v1/auth/{path}", content="token=a&token=b", headers=FORM | service)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}], ids=["none", "another"])
async def test_a_form_without_its_content_type_is_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post(TOKEN, content=b"grant_type=password", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "common.unsupported_media_type")


class TestClients:
    """An API key as a client's secret: the client's id is how the key begins, and nothing else."""

    @pytest.fixture
    async def key(self, client: httpx.AsyncClient, user: User) -> dict[str, str]:
        body = {"name": "program", "scopes": ["auth:profile"]}
        made = await client.post("/api/v1/auth/api-keys", json=body, headers=user.headers)
        created: dict[str, str] = made.raise_for_status().json()
        return created

    async def ask(self, client: httpx.AsyncClient, client_id: str, key: str) -> tuple[int, str | None]:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": key}
        answer = await client.post(TOKEN, data=form)
        return answer.status_code, answer.json().get("error")

    async def test_its_prefix_is_the_id(self, client: httpx.AsyncClient, key: dict[str, str]) -> None:
        assert await self.ask(client, key["prefix"], key["key"]) == (200, None)

    async def test_no_other_id_is(self, client: httpx.AsyncClient, key: dict[str, str]) -> None:
        prefix, whole = key["prefix"], key["key"]
        others = ["sutaz_live_", prefix[:-1], f"{prefix}_", whole, prefix[:-1] + "#", "tasks", "program"]

        answers = [await self.ask(client, other, whole) for other in others]

        assert answers == [(401, "invalid_client")] * len(others)

    async def test_a_form_and_a_header_name_the_same_client(
        self, client: httpx.AsyncClient, key: dict[str, str]
    ) -> None:
        form = {"grant_type": "client_credentials"}
        basic = (key["prefix"], key["key"])

        same = await client.post(TOKEN, data=form | {"client_id": key["prefix"]}, auth=basic)
        other = await client.post(TOKEN, data=form | {"client_id": "tasks"}, auth=basic)

        assert (same.status_code, other.status_code, other.json().get("error")) == (200, 401, "invalid_client")


class TestKept:
    """What holds a secret is kept by nobody on the way."""

    def is_kept_by_nobody(self, answer: httpx.Response) -> bool:
        assert answer.is_success, answer.text
        return (answer.headers.get("cache-control"), answer.headers.get("pragma")) == ("no-store", "no-cache")

    async def test_tokens(self, client: httpx.AsyncClient, user: User) -> None:
        login = {"grant_type": "password", "username": user.email, "password": user.password}
        refresh = {"grant_type": "refresh_token", "refresh_token": user.refresh_token}

        assert self.is_kept_by_nobody(await client.post(TOKEN, data=login))
        assert self.is_kept_by_nobody(await client.post(TOKEN, data=refresh))

    async def test_api_keys(self, client: httpx.AsyncClient, suite: Suite, user: User) -> None:
        body = {"name": "ci", "scopes": ["auth:profile"]}
        made = await client.post("/api/v1/auth/api-keys", json=body, headers=user.headers)
        rotated = await client.post(f"/api/v1/auth/api-keys/{made.json()['id']}/rotate", json={}, headers=user.headers)
        service = await service_headers(client, suite, "agents")
        exchanged = await client.post(
            "/internal/api-keys/exchange", json={"key": rotated.json()["key"]}, headers=service
        )

        assert all(self.is_kept_by_nobody(answer) for answer in (made, rotated, exchanged))

    async def test_delegation(self, client: httpx.AsyncClient, suite: Suite, user: User) -> None:
        tasks = await service_headers(client, suite, "tasks")
        body = {"subject": user.user_id, "tenant_id": user.tenant_id, "scopes": ["agents:read"]}

        assert self.is_kept_by_nobody(await client.post("/internal/tokens/delegate", json=body, headers=tasks))

    async def test_but_not_what_holds_none(self, client: httpx.AsyncClient, user: User) -> None:
        assert not self.is_kept_by_nobody(await client.get("/api/v1/auth/me", headers=user.headers))


class TestDelegation:
    """Tokens by which a service acts for a user."""

    path = "/internal/tokens/delegate"

    def body(self, user: User, **changes: Any) -> dict[str, Any]:
        return {"subject": user.user_id, "tenant_id": user.tenant_id, "scopes": ["agents:read"]} | changes

    async def test_a_service_acts_with_the_users_rights_and_its_own_name(
        self, client: httpx.AsyncClient, suite: Suite, user: User
    ) -> None:
        tasks = await service_headers(client, suite, "tasks")

        answer = await client.post(self.path, json=self.body(user), headers=tasks)

        claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
        assert (claims["sub"], claims["act"], claims["scope"]) == (
            user.user_id,
            {"sub": "service:tasks"},
            "agents:read",
        )

    async def test_a_wrong_secret_gets_no_token_of_a_service(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(TOKEN, data={"grant_type": "client_credentials"}, auth=("tasks", "guess"))

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    async def test_a_service_that_does_nothing_later_may_not_act_for_a_user(
        self, client: httpx.AsyncClient, suite: Suite, user: User
    ) -> None:
        chat = await service_headers(client, suite, "chat")

        answer = await client.post(self.path, json=self.body(user), headers=chat)

        assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")

    async def test_a_service_alone_is_nobody_on_a_users_route(self, client: httpx.AsyncClient, suite: Suite) -> None:
        tasks = await service_headers(client, suite, "tasks")

        assert (await client.get("/api/v1/auth/me", headers=tasks)).status_code == 403

    async def test_no_more_than_the_user_may(
        self, client: httpx.AsyncClient, suite: Suite, user: User, other_user: User
    ) -> None:
        tasks = await service_headers(client, suite, "tasks")

        beyond = await client.post(self.path, json=self.body(user, scopes=["admin"]), headers=tasks)
        foreign = await client.post(self.path, json=self.body(user, tenant_id=other_user.tenant_id), headers=tasks)

        assert (beyond.status_code, foreign.status_code) == (403, 403)
