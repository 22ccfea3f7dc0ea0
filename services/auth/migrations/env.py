"""Alembic runs this; see `shared.postgres.open_database`."""

from services.auth.models import Base
from shared.postgres import run_migrations

run_migrations(Base.metadata)
