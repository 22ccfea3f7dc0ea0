"""The route class of POSTs that must not be repeated blindly and cannot honour `Idempotency-Key`."""

from fastapi import Request, Response

from shared.door.route import GuardedRoute, Handler
from shared.errors import FieldProblem, Invalid


class IdempotencyKeyRefused(Invalid):
    code = "common.idempotency_key_refused"
    meaning = "This operation has no `Idempotency-Key`: a repetition may have its effect again. Nothing was done."
    default_detail = "This operation does not take an Idempotency-Key."

    def __init__(self) -> None:
        problem = FieldProblem(pointer="header/idempotency-key", code="refused", detail=self.default_detail)
        super().__init__(errors=[problem])


class KeylessRoute(GuardedRoute):
    """Refuses a request with an `Idempotency-Key`, so that nobody relies on a promise that is not kept here.

    For POSTs that make something and keep no answer, because it holds a secret or there is no caller to keep it for.
    Other POSTs may be repeated anyway (a search, a cancel), and take no notice of the header.
    """

    def inside(self, handle: Handler) -> Handler:
        async def keyless(request: Request) -> Response:
            if "idempotency-key" in request.headers:
                raise IdempotencyKeyRefused
            return await handle(request)

        return keyless
