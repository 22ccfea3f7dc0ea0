"""The annotated types that the routes of administrators ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.administration.service import UserService
from shared.web import from_state

Users = Annotated[UserService, Depends(from_state("users"))]
