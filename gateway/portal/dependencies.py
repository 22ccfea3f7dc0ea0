"""What the portal's routes ask for."""

from typing import Annotated

from fastapi import Depends

from gateway.portal.documents import Documents
from gateway.portal.health import SystemHealth
from shared.web import from_state

System = Annotated[SystemHealth, Depends(from_state("health"))]
Reference = Annotated[Documents, Depends(from_state("documents"))]
