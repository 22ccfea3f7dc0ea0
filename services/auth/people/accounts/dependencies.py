"""The annotated types that the routes about accounts ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.people.accounts.service import AccountService
from shared.web import from_state

Accounts = Annotated[AccountService, Depends(from_state("accounts"))]
