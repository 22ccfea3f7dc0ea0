"""The tasks service: work handed over, done by workers, followed to its result."""

from fastapi import FastAPI

from services.tasks.endpoints import creating, router
from services.tasks.kinds.registry import KindRegistry, with_own
from services.tasks.lifespan import lifespan
from services.tasks.schedules.endpoints import creating as creating_schedules
from services.tasks.schedules.endpoints import router as schedules
from services.tasks.settings import Settings
from shared.web import create_service


def create_app(settings: Settings | None = None, kinds: KindRegistry | None = None) -> FastAPI:
    """The app, from `settings` or the environment; takes tasks of `kinds`, or of those that the settings say."""
    settings = settings or Settings()
    app = create_service(
        "tasks",
        settings,
        title="SutazAI tasks",
        description="Background work: accepted durably, retried, cancelled, followed to its result.",
        lifespan=lifespan,
        routers=[creating, router, creating_schedules, schedules],
    )
    app.state.kinds = kinds or with_own(settings.task_kinds)
    return app
