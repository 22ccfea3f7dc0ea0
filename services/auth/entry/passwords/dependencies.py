"""The annotated types that the routes about one's password ask for."""

from typing import Annotated

from services.auth.entry.passwords.forgotten import ForgottenService
from services.auth.entry.passwords.service import PasswordService
from shared.door import held

Passwords = Annotated[PasswordService, held("passwords")]
Forgotten = Annotated[ForgottenService, held("forgotten")]
