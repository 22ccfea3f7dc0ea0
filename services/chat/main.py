"""The chat service: conversations with agents."""

from fastapi import FastAPI

from services.chat.completions.endpoints import completing, offered
from services.chat.conversations.endpoints import forking, router
from services.chat.items.endpoints import items_kept, items_put
from services.chat.lifespan import lifespan
from services.chat.responses.endpoints import asked_for, responding
from services.chat.runs.endpoints import begun, creating, ticketing
from services.chat.settings import Settings
from services.chat.usage.endpoints import used
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "chat",
        settings or Settings(),
        title="SutazAI chat",
        description="Conversations with agents: answers from their knowledge, with citations, whole or as a stream.",
        tags={
            "messages": "What is said to an agent.",
            "runs": "How an answer is made: state, events, approvals.",
            "conversations": "What was said, kept.",
            "completions": "Chat completions and models, as OpenAI's clients ask for them.",
            "responses": "Responses, as OpenAI's clients ask for them: answers that are kept for a day.",
            "usage": "Tokens, cost and runs.",
        },
        lifespan=lifespan,
        routers=[
            creating,
            begun,
            ticketing,
            forking,
            router,
            used,
            completing,
            offered,
            items_put,
            items_kept,
            responding,
            asked_for,
        ],
    )
