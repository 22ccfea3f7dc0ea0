"""The annotated types that the routes about one's password ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.entry.passwords.forgotten import ForgottenService
from services.auth.entry.passwords.service import PasswordService
from shared.web import from_state

Passwords = Annotated[PasswordService, Depends(from_state("passwords"))]
Forgotten = Annotated[ForgottenService, Depends(from_state("forgotten"))]
