"""What the portal's routes ask for."""

from typing import Annotated

from gateway.portal.documents import Documents
from gateway.portal.health import SystemHealth
from shared.door import held

System = Annotated[SystemHealth, held("health")]
Reference = Annotated[Documents, held("documents")]
