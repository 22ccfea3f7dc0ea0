"""The annotated types that the routes about accounts ask for."""

from typing import Annotated

from services.auth.people.accounts.service import AccountService
from shared.door import held

Accounts = Annotated[AccountService, held("accounts")]
