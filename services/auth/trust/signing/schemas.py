"""Public keys and metadata on the wire."""

from typing import Literal, Self

from services.auth.trust.scopes import Role, scopes_of
from shared.schemas import ResponseModel


class JsonWebKey(ResponseModel):
    """A public Ed25519 key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    use: Literal["sig"]
    alg: Literal["EdDSA"]


class JsonWebKeySet(ResponseModel):
    """The keys that verify our tokens (RFC 7517): the next, the current and the previous ones."""

    keys: list[JsonWebKey]


class ServerMetadata(ResponseModel):
    """What an OAuth client needs to know of us (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str
    introspection_endpoint: str
    service_documentation: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]

    @classmethod
    def of(cls, issuer: str) -> Self:
        """What there is below the address of the issuer."""
        return cls(
            issuer=issuer,
            token_endpoint=f"{issuer}/token",
            jwks_uri=f"{issuer}/jwks.json",
            revocation_endpoint=f"{issuer}/revoke",
            introspection_endpoint=f"{issuer}/introspect",
            service_documentation=f"{issuer}/docs",
            scopes_supported=sorted(scopes_of(Role.OWNER, is_admin=True)),
            response_types_supported=[],
            grant_types_supported=["password", "refresh_token", "client_credentials"],
            token_endpoint_auth_methods_supported=["none", "client_secret_basic", "client_secret_post"],
        )
