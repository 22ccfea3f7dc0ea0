"""`/auth/jwks.json` and the metadata by which clients find everything else."""

from fastapi import APIRouter, Request, Response

from services.auth.entry.clients.registry import INTROSPECT
from services.auth.entry.tokens.schemas import JsonWebKeySet, ServerMetadata
from services.auth.trust.scopes import Role, scopes_of
from shared.door import GuardedRoute

router = APIRouter(prefix="/auth", tags=["tokens"], route_class=GuardedRoute)


@router.get("/jwks.json", operation_id="auth_jwks", summary="Public keys", response_model=JsonWebKeySet)
async def jwks(request: Request, response: Response) -> dict[str, object]:
    """The public keys by which anyone can verify our access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=30"
    return {"keys": list(request.state.keys.public_jwks.values())}


@router.get(
    "/.well-known/oauth-authorization-server",
    operation_id="auth_metadata",
    summary="Authorization server metadata",
    response_model=ServerMetadata,
)
async def metadata(request: Request) -> ServerMetadata:
    """What an OAuth client needs to know (RFC 8414)."""
    issuer: str = request.app.state.settings.auth_issuer
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{issuer}/token",
        jwks_uri=f"{issuer}/jwks.json",
        revocation_endpoint=f"{issuer}/revoke",
        introspection_endpoint=f"{issuer}/introspect",
        service_documentation=f"{issuer}/docs",
        scopes_supported=sorted(scopes_of(Role.OWNER, is_admin=True) | {INTROSPECT}),
        response_types_supported=[],
        grant_types_supported=["password", "refresh_token", "client_credentials"],
        token_endpoint_auth_methods_supported=["none", "client_secret_basic", "client_secret_post"],
    )
