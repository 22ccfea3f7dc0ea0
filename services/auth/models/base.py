"""What every table of auth is made from."""

from sqlalchemy import DateTime

from shared.postgres import Base as SharedBase
from shared.postgres import new_metadata


class Base(SharedBase):
    """The root of auth's tables."""

    __abstract__ = True
    metadata = new_metadata()


Moment = DateTime(timezone=True)
