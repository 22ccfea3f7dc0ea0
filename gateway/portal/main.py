"""The portal's app: the JSON under `/api/v1` through the machinery of every service, the pages beside it."""

from fastapi import FastAPI

from gateway.portal import pages
from gateway.portal.endpoints import router
from gateway.portal.lifespan import lifespan
from gateway.portal.settings import Settings
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    app = create_service(
        "portal",
        settings or Settings(),
        title="SutazAI gateway",
        description="The health of the whole system, as seen from the edge.",
        tags={
            "health": "The state of the whole system.",
        },
        lifespan=lifespan,
        routers=[router],
    )
    app.include_router(pages.router)
    pages.mount_assets(app)
    return app
