"""What the health check answers with."""

from pydantic import ConfigDict, Field

from shared.health import Status
from shared.schemas import ResponseModel


class ComponentCheck(ResponseModel):
    """One component, as its users see it."""

    status: Status = Field(description="`warn`: degraded, or down where nothing depends on it alone; `fail`: down")
    latency_ms: float = Field(ge=0, description="how long the slowest answer took")
    detail: str | None = Field(default=None, description="what is wrong, when something is")
    instances: int | None = Field(default=None, ge=0, description="services only: how many discovery knows")


class HealthReport(ResponseModel):
    """The whole system: as bad as its worst component."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "warn",
                    "version": "0.2.0",
                    "checks": {
                        "vectors": {
                            "status": "warn",
                            "latency_ms": 3.2,
                            "detail": "chromadb: chromadb does not answer",
                            "instances": 2,
                        },
                        "chromadb": {"status": "warn", "latency_ms": 1.4, "detail": "chromadb does not answer"},
                        "postgres": {"status": "pass", "latency_ms": 0.9},
                    },
                }
            ]
        }
    )

    status: Status = Field(description="`fail` comes with 503")
    version: str
    checks: dict[str, ComponentCheck] = Field(description="the five services, the seven stores, `consul` and `kong`")
