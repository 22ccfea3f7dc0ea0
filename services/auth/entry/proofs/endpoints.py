"""`/auth/verify` and `/auth/email`."""

from fastapi import APIRouter, Depends, Response

from services.auth.entry.proofs.dependencies import Moving, Proofs
from services.auth.entry.proofs.schemas import EmailChange, EmailProof
from services.auth.errors import DelegateRefused, ProofRefused, WrongCurrentPassword
from services.auth.trust.dependencies import Oneself, Source
from shared.door import GuardedRoute, IdempotencyKeyRefused, KeylessRoute
from shared.errors import responses
from shared.limits import limited_by_source

router = APIRouter(
    prefix="/api/v1/auth", tags=["accounts"], route_class=GuardedRoute, responses=responses(DelegateRefused)
)
proving = APIRouter(prefix="/api/v1/auth", tags=["accounts"], route_class=KeylessRoute)


@proving.post(
    "/verify",
    operation_id="auth_verify_email",
    summary="Prove my address",
    status_code=204,
    responses=responses(ProofRefused, IdempotencyKeyRefused),
    dependencies=[Depends(limited_by_source)],
)
async def verify(body: EmailProof, proofs: Proofs, source: Source) -> None:
    """Send the token of the letter that came with a registration, or with a change of address. No caller is needed.

    Whoever had registered with the address before and never proved it is locked out, and keeps nothing of theirs.
    """
    await proofs.prove(body.token.get_secret_value(), source)


@router.post(
    "/verify/resend",
    operation_id="auth_resend_verification",
    summary="Send me the letter again",
    status_code=202,
    responses={202: {"content": None, "description": "it is sent soon, unless the address is proved"}},
)
async def resend(caller: Oneself, proofs: Proofs, source: Source) -> Response:
    """Another letter with a token that proves one's address. An address gets six an hour, and three from one source.

    Nothing is sent to an address that is proved, which `GET /auth/me` tells. Without a mail server this answers 503.
    """
    await proofs.send_again(caller, source)
    return Response(status_code=202)


@router.post(
    "/email",
    operation_id="auth_change_email",
    summary="Change my address",
    status_code=202,
    responses={
        202: {"content": None, "description": "a letter is sent to the new address soon"},
        **responses(WrongCurrentPassword),
    },
)
async def change_email(body: EmailChange, caller: Oneself, moving: Moving, source: Source) -> Response:
    """Ask for another address. It counts from when the token of the letter to it is sent to `POST /auth/verify`.

    Until then the old one does, which is told of the change. The answer does not say whether the new one is somebody
    else's: then they get no letter, and nothing changes. Without a mail server this answers 503.
    """
    await moving.ask(caller, body, source)
    return Response(status_code=202)
