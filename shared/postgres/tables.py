"""The root of a service's tables."""

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Subclass it once per service, as the root of that service's tables, with a `metadata` of its own."""

    __abstract__ = True


def new_metadata() -> MetaData:
    """An empty set of tables, whose indexes and constraints are named by one rule."""
    return MetaData(naming_convention=_CONVENTION)
