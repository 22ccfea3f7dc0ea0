"""The tasks service: work handed over, done by workers, followed to its result."""

from fastapi import FastAPI

from services.tasks.endpoints import creating, router
from services.tasks.history.endpoints import router as history
from services.tasks.kinds.registry import KindRegistry, with_own
from services.tasks.lifespan import lifespan
from services.tasks.outcomes.endpoints import internal as outcomes
from services.tasks.replays.endpoints import creating as replaying
from services.tasks.replays.endpoints import router as replays
from services.tasks.schedules.endpoints import creating as creating_schedules
from services.tasks.schedules.endpoints import router as schedules
from services.tasks.settings import Settings
from services.tasks.streams.endpoints import router as streams
from services.tasks.webhooks.endpoints import creating as trying
from services.tasks.webhooks.endpoints import minting
from services.tasks.webhooks.endpoints import router as webhooks
from shared.web import create_service


def create_app(settings: Settings | None = None, kinds: KindRegistry | None = None) -> FastAPI:
    """The app, from `settings` or the environment; takes tasks of `kinds`, or of those that the settings say."""
    settings = settings or Settings()
    app = create_service(
        "tasks",
        settings,
        title="SutazAI tasks",
        description="Background work: accepted durably, retried, cancelled, followed to its result.",
        tags={
            "tasks": "Work that is done later.",
            "replays": "Failed work, done again.",
            "webhooks": "Who is told what happens.",
            "history": "What was tried, and what it logged.",
            "events": "Work, as it goes on.",
        },
        lifespan=lifespan,
        routers=[
            *(creating, replaying, creating_schedules, schedules),
            *(minting, trying, webhooks),
            *(router, history, streams, replays, outcomes),
        ],
    )
    app.state.kinds = (kinds or with_own(settings.task_kinds)).limited(settings.task_kind_limits)
    return app
