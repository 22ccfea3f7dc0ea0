"""The auth service with the guarded route beside its own: what a login storm does to everyone else on the same loop."""

from fastapi import FastAPI

from bench.apps.ours import router
from services.auth.main import create_app
from shared.platform import serve


def with_guarded_route() -> FastAPI:
    app = create_app()
    app.include_router(router)
    return app


if __name__ == "__main__":
    serve(with_guarded_route)
