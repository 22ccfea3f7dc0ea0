"""`/vectors/engines`."""

from fastapi import APIRouter

from services.vectors.dependencies import Engines, Reader, RerankedBy
from services.vectors.engines.schemas import EngineList
from shared.door import GuardedRoute

router = APIRouter(prefix="/api/v1/vectors/engines", tags=["vectors"], route_class=GuardedRoute)


@router.get(
    "",
    operation_id="vectors_list_engines",
    summary="What each engine can do",
    response_model=EngineList,
)
async def list_all(_caller: Reader, engines: Engines, reranker: RerankedBy) -> EngineList:
    """Capabilities and limits of the engines of this deployment, as data."""
    return EngineList.of(engines.values(), reranker)
