"""What operations stand on that answer as OpenAI's do: their routes, their errors, their models."""

from shared.openai.dialect import OPENAI, error_object, openai_responses
from shared.openai.models import Listed, OpenAIRequest, Unsupported
from shared.openai.routes import OpenAIKeyedRoute, OpenAIRoute

__all__ = [
    "OPENAI",
    "Listed",
    "OpenAIKeyedRoute",
    "OpenAIRequest",
    "OpenAIRoute",
    "Unsupported",
    "error_object",
    "openai_responses",
]
