"""`/auth/jwks.json` and the metadata by which clients find everything else."""

from fastapi import APIRouter, Request, Response

from services.auth.trust.signing.dependencies import Keys
from services.auth.trust.signing.schemas import JsonWebKeySet, ServerMetadata
from shared.door import GuardedRoute

router = APIRouter(prefix="/api/v1/auth", tags=["tokens"], route_class=GuardedRoute)
well_known = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/jwks.json", operation_id="auth_jwks", summary="Public keys", response_model=JsonWebKeySet)
async def jwks(keys: Keys, response: Response) -> dict[str, object]:
    """The public keys by which anyone can verify our access tokens (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=30"
    return {"keys": list(keys.public_jwks.values())}


# Where RFC 8414 (section 3.1) has clients look who know the issuer only: its path comes after `.well-known/…`.
@well_known.get("/.well-known/oauth-authorization-server/api/v1/auth", response_model=ServerMetadata)
@router.get(
    "/.well-known/oauth-authorization-server",
    operation_id="auth_metadata",
    summary="Authorization server metadata",
    response_model=ServerMetadata,
)
async def metadata(request: Request) -> ServerMetadata:
    """What an OAuth client needs to know (RFC 8414)."""
    return ServerMetadata.of(request.app.state.settings.auth_issuer)
