"""The route class of OAuth's forms."""

from collections import Counter

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

from services.auth.errors import FieldRepeated, GrantIncomplete, GrantUnsupported
from shared.door import GuardedRoute, Handler
from shared.errors import ServiceError

_GRANT_TYPE = "grant_type"


class OAuthRoute(GuardedRoute):
    """Refuses a form in OAuth's own words (RFC 6749, sections 3.2 and 5.2), which FastAPI's 422 does not speak.

    400 for a field that is there twice, where another reader might have taken the other one, and for a grant type that
    is missing or unknown. What OAuth does not know is ignored, as section 3.2 demands.
    """

    knows_its_query = False

    def inside(self, handle: Handler) -> Handler:
        if self.body_field is None:
            return handle

        async def spoken(request: Request) -> Response:
            counts = Counter(name for name, _ in (await request.form()).multi_items())
            if repeated := [name for name, count in counts.items() if count > 1]:
                raise FieldRepeated(repeated)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise _of_the_grant_type(error) or error from error

        return spoken


def _of_the_grant_type(refusal: RequestValidationError) -> ServiceError | None:
    """What OAuth says of it, where the grant type is what was refused."""
    types = [error["type"] for error in refusal.errors() if error["loc"] == ("body", _GRANT_TYPE)]
    if not types:
        return None
    return GrantIncomplete(_GRANT_TYPE) if types == ["missing"] else GrantUnsupported()
