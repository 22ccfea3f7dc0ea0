"""The annotated types that the routes of administrators ask for."""

from typing import Annotated

from services.auth.administration.service import UserService
from shared.door import held

Users = Annotated[UserService, held("users")]
