"""Alembic runs this; see `shared.db.open_database`."""

from services.tasks.models import Base
from shared.db import run_migrations

run_migrations(Base.metadata)
