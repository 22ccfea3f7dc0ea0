"""The route classes of operations that OpenAI's clients call: whoever raises an error, it is worded as theirs are."""

from shared.door import GuardedRoute, IdempotentRoute
from shared.openai.dialect import OPENAI


class OpenAIRoute(GuardedRoute):
    """`APIRouter(route_class=OpenAIRoute)`: errors as OpenAI's, and what is not valid is a 400."""

    dialect = OPENAI


class OpenAIKeyedRoute(IdempotentRoute):
    """The same for POSTs that honour `Idempotency-Key`."""

    dialect = OPENAI
