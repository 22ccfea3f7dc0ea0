"""Alembic runs this; see `shared.postgres.open_database`."""

import services.tasks.webhooks.models  # noqa: F401 - its tables are among them
from services.tasks.models import Base
from shared.postgres import run_migrations

run_migrations(Base.metadata)
