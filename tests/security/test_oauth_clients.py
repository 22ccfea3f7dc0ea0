"""Unmodified OAuth clients complete every grant against the gateway: Authlib, and oauthlib's own request builder."""

from urllib.parse import urlsplit

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error

from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS

METADATA = "/api/v1/auth/.well-known/oauth-authorization-server"


@pytest.fixture(scope="session")
async def owner(gateway: httpx.AsyncClient, register_user: RegisterUser) -> User:
    return await register_user()


@pytest.fixture(scope="session")
async def endpoints(gateway: httpx.AsyncClient) -> dict[str, str]:
    """What the metadata names, at the address the tests reach the gateway by."""
    document = (await gateway.get(METADATA)).raise_for_status().json()
    issuer = document["issuer"]
    return {
        name: str(gateway.base_url.join(url.partition("/api/")[1] + url.partition("/api/")[2]))
        for name, url in document.items()
        if isinstance(url, str) and url.startswith(issuer)
    }


async def test_the_metadata_names_what_is_there(gateway: httpx.AsyncClient, endpoints: dict[str, str]) -> None:
    document = (await gateway.get(METADATA)).json()

    statuses = [(await gateway.post(endpoints[name])).status_code for name in ("token_endpoint", "revocation_endpoint")]

    assert (await gateway.get(endpoints["jwks_uri"])).json()["keys"]
    assert statuses == [400, 422]
    assert set(document["grant_types_supported"]) == {"password", "refresh_token", "client_credentials"}


async def test_the_metadata_is_where_the_issuer_leads_to(gateway: httpx.AsyncClient) -> None:
    """RFC 8414, section 3.1: the well-known path is put between the issuer's host and its path."""
    document = (await gateway.get(METADATA)).raise_for_status().json()

    found = await gateway.get(f"/.well-known/oauth-authorization-server{urlsplit(document['issuer']).path}")

    assert (found.status_code, found.json()) == (200, document)


async def test_authlib_logs_in_refreshes_calls_and_revokes(endpoints: dict[str, str], owner: User) -> None:
    async with AsyncOAuth2Client(
        token_endpoint_auth_method="none",
        token_endpoint=endpoints["token_endpoint"],
        scope="auth:profile agents:read",
        timeout=PATIENCE_SECONDS,
    ) as client:
        first = await client.fetch_token(username=owner.email, password=owner.password)
        me = await client.get(endpoints["token_endpoint"].replace("/token", "/me"))
        second = await client.refresh_token()
        revoked = await client.revoke_token(endpoints["revocation_endpoint"], token=second["refresh_token"])

    assert me.json()["id"] == owner.user_id
    assert first["scope"] == second["scope"] == "agents:read auth:profile"
    assert first["refresh_token"] != second["refresh_token"]
    assert revoked.status_code == 200


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_takes_an_api_key_for_client_credentials(
    gateway: httpx.AsyncClient, endpoints: dict[str, str], owner: User, method: str
) -> None:
    body = {"name": "program", "scopes": ["auth:profile", "agents:read"]}
    key = (await gateway.post("/api/v1/auth/api-keys", json=body, headers=owner.headers)).json()
    async with AsyncOAuth2Client(
        client_id=key["prefix"],
        client_secret=key["key"],
        token_endpoint_auth_method=method,
        token_endpoint=endpoints["token_endpoint"],
        timeout=PATIENCE_SECONDS,
    ) as client:
        token = await client.fetch_token(grant_type="client_credentials", scope="auth:profile")
        me = await client.get(endpoints["token_endpoint"].replace("/token", "/me"))

    assert (token["scope"], me.json()["id"]) == ("auth:profile", owner.user_id)
    assert "refresh_token" not in token


async def test_oauthlib_builds_the_requests_and_reads_the_answers(
    gateway: httpx.AsyncClient, endpoints: dict[str, str], owner: User
) -> None:
    client = LegacyApplicationClient(client_id="a program")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    async def ask(body: str) -> str:
        return (await gateway.post(endpoints["token_endpoint"], content=body, headers=headers)).text

    asked = client.prepare_request_body(username=owner.email, password=owner.password, scope="auth:profile")
    first = client.parse_request_body_response(await ask(asked))
    second = client.parse_request_body_response(
        await ask(client.prepare_refresh_body(refresh_token=first["refresh_token"]))
    )

    assert second["access_token"] != first["access_token"]


async def test_oauthlib_understands_the_refusals(
    gateway: httpx.AsyncClient, endpoints: dict[str, str], owner: User
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    password = LegacyApplicationClient(client_id="a program")
    backend = BackendApplicationClient(client_id="tasks")
    requests = {
        "invalid_grant": (password, password.prepare_request_body(username=owner.email, password="wrong password")),
        "invalid_scope": (
            password,
            password.prepare_request_body(username=owner.email, password=owner.password, scope="admin"),
        ),
        "invalid_client": (backend, backend.prepare_request_body(client_secret="guess", include_client_id=True)),
    }

    for error, (client, body) in requests.items():
        answer = await gateway.post(endpoints["token_endpoint"], content=body, headers=headers)
        with pytest.raises(OAuth2Error) as raised:
            client.parse_request_body_response(answer.text)
        assert raised.value.error == error
