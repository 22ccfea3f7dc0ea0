"""The worker process: an app without routes of its own, so that it is watched and stopped like every service."""

from fastapi import FastAPI

from services.tasks.kinds.registry import KindRegistry, with_own
from services.tasks.settings import WorkerSettings
from services.tasks.worker.lifespan import lifespan
from shared.web import create_service


def create_app(settings: WorkerSettings | None = None, kinds: KindRegistry | None = None) -> FastAPI:
    """The app, from `settings` or the environment; does tasks of `kinds`, or of those that the settings say."""
    settings = settings or WorkerSettings()
    app = create_service(
        "tasks-worker",
        settings,
        title="SutazAI tasks worker",
        description="Does the work that `tasks` accepted.",
        lifespan=lifespan,
        routers=[],
    )
    app.state.kinds = (kinds or with_own(settings.task_kinds)).limited(settings.task_kind_limits)
    return app
