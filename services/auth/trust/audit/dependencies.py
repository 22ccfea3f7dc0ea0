"""The annotated types that the route of the audit log asks for."""

from typing import Annotated

from fastapi import Depends

from services.auth.trust.audit.service import AuditService
from shared.web import from_state

Audit = Annotated[AuditService, Depends(from_state("audit"))]
