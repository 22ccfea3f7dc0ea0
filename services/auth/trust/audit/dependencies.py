"""The annotated types that the route of the audit log asks for."""

from typing import Annotated

from services.auth.trust.audit.service import AuditService
from shared.door import held

Audit = Annotated[AuditService, held("audit")]
