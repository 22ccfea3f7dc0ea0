"""Changes of access on the wire between services."""

from shared.schemas import ResponseModel


class RevocationRead(ResponseModel):
    """See `shared.identity.Revocation`."""

    subject: str
    issued_until: float | None
    expires_at: float


class ChangesRead(ResponseModel):
    """See `shared.identity.Changes`."""

    as_of: float
    revocations: list[RevocationRead]
    key_ids: list[str]
