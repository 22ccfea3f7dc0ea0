"""`/auth/api-keys`, and the exchange that services ask for."""

from fastapi import APIRouter

from services.auth.entry.api_keys.dependencies import ApiKeys, Exchanger, Exchanges, KeyMaker, KeyOwner
from services.auth.entry.api_keys.schemas import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyFound,
    ApiKeyRead,
    ApiKeyRotation,
    ApiKeySearch,
    KeyExchange,
)
from services.auth.entry.issuing.schemas import InternalToken
from services.auth.errors import (
    ApiKeyNotFound,
    ApiKeyRefused,
    ApiKeyReplaced,
    DelegateRefused,
    ScopeNotAllowed,
    TooManyApiKeys,
)
from services.auth.models import ApiKey
from services.auth.trust.dependencies import Admin, Source
from shared.door import GuardedRoute, IdempotencyKeyRefused, KeylessRoute, stores_nothing
from shared.errors import responses
from shared.resources import Cursor, Limit, Page
from shared.schemas import Id

router = APIRouter(
    prefix="/api/v1/auth/api-keys", tags=["api keys"], route_class=GuardedRoute, responses=responses(DelegateRefused)
)
minting = APIRouter(
    prefix="/api/v1/auth/api-keys",
    tags=["api keys"],
    route_class=KeylessRoute,
    responses=responses(DelegateRefused, ApiKeyRefused),
)
internal = APIRouter(prefix="/internal/api-keys", route_class=GuardedRoute, include_in_schema=False)


@minting.post(
    "",
    operation_id="auth_create_api_key",
    summary="Create an API key",
    status_code=201,
    response_model=ApiKeyCreated,
    responses=responses(TooManyApiKeys, ScopeNotAllowed, IdempotencyKeyRefused),
)
async def create(body: ApiKeyCreate, caller: KeyMaker, api_keys: ApiKeys, source: Source) -> ApiKeyCreated:
    """Create a key with some of one's own scopes. The key is in this answer and nowhere else.

    It takes a login: a key makes no other key, which would outlive it.
    """
    return ApiKeyCreated.of(await api_keys.create(caller, body, source))


@router.get("", operation_id="auth_list_api_keys", summary="My API keys", response_model=Page[ApiKeyRead])
async def list_page(caller: KeyOwner, api_keys: ApiKeys, limit: Limit = 20, cursor: Cursor = None) -> Page[ApiKeyRead]:
    """The caller's keys, newest first, without their secrets."""
    return (await api_keys.list_page(caller, limit, cursor)).page(ApiKeyRead.model_validate)


@router.post(
    "/find",
    operation_id="auth_find_api_key",
    summary="Whose key is this",
    response_model=ApiKeyFound,
    responses=responses(ApiKeyNotFound),
)
@stores_nothing
async def find(body: ApiKeySearch, caller: Admin, api_keys: ApiKeys, source: Source) -> ApiKey:
    """Who owns the key that begins like this, for administrators who were told of a leak. Revoked ones are found too.

    A POST, because what somebody pastes may be the whole key, and addresses end up in logs.
    """
    return await api_keys.find(caller, body, source)


@router.delete(
    "/{id}",
    operation_id="auth_revoke_api_key",
    summary="Revoke an API key",
    status_code=204,
    responses=responses(ApiKeyNotFound),
)
async def revoke(id: Id, caller: KeyOwner, api_keys: ApiKeys, source: Source) -> None:
    """Revoke a key; within a minute no service accepts it. Administrators may revoke anybody's."""
    await api_keys.revoke(caller, id, source)


@minting.post(
    "/{id}/rotate",
    operation_id="auth_rotate_api_key",
    summary="Rotate an API key",
    status_code=201,
    response_model=ApiKeyCreated,
    responses=responses(ApiKeyNotFound, ApiKeyReplaced, TooManyApiKeys, ScopeNotAllowed, IdempotencyKeyRefused),
)
async def rotate(id: Id, body: ApiKeyRotation, caller: KeyMaker, api_keys: ApiKeys, source: Source) -> ApiKeyCreated:
    """A new key with the same scopes; the old one goes on through the overlap, so that nothing stops in between.

    It takes a login, as making one does.
    """
    return ApiKeyCreated.of(await api_keys.rotate(caller, id, body, source))


@internal.post("/exchange", response_model=InternalToken)
@stores_nothing
async def exchange(body: KeyExchange, service: Exchanger, exchanges: Exchanges) -> InternalToken:
    """The access token an API key stands for."""
    return InternalToken.of(await exchanges.token_for(body.key, by=service, source=None))
