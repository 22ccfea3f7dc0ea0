"""The Kong plugins this runner honours, each with exactly the settings it honours and no other.

A value that Kong would treat in a way Envoy does not is left out of the types, so that it is refused at start.
"""

import hashlib
import re
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

_PERIOD_SECONDS = {"minute": 60, "hour": 3600}
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Strict(BaseModel):
    """No unknown member, no conversion: what the file says is what is honoured."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Plugin(Strict):
    enabled: bool = True


class CorsConfig(Strict):
    """Origins are `*` or plain origins; Kong's regular expressions are not honoured."""

    origins: list[Annotated[str, Field(pattern=r"^(\*|https?://[A-Za-z0-9.:-]+)$")]] = Field(min_length=1)
    methods: list[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]] = Field(min_length=1)
    headers: list[HeaderName] = Field(min_length=1)
    exposed_headers: list[HeaderName] = Field(min_length=1)
    credentials: Literal[False] = False
    max_age: int = Field(ge=0)
    preflight_continue: Literal[False] = False

    @property
    def any_origin(self) -> bool:
        return "*" in self.origins


class Cors(_Plugin):
    name: Literal["cors"]
    config: CorsConfig


class CorrelationIdConfig(Strict):
    header_name: Literal["X-Request-ID"]
    generator: Literal["uuid"]
    echo_downstream: Literal[True]


class CorrelationId(_Plugin):
    name: Literal["correlation-id"]
    config: CorrelationIdConfig


class _RemovedParts(Strict):
    headers: list[HeaderName] = Field(min_length=1)


class RequestTransformerConfig(Strict):
    """Removing headers, and nothing else the plugin can do."""

    remove: _RemovedParts


class RequestTransformer(_Plugin):
    name: Literal["request-transformer"]
    config: RequestTransformerConfig


class RequestSizeLimitingConfig(Strict):
    allowed_payload_size: int = Field(gt=0)
    size_unit: Literal["megabytes"] = "megabytes"
    require_content_length: Literal[False] = False

    @property
    def max_bytes(self) -> int:
        return self.allowed_payload_size * 2**20


class RequestSizeLimiting(_Plugin):
    name: Literal["request-size-limiting"]
    config: RequestSizeLimitingConfig


class RateLimitingConfig(Strict):
    """One window only, counted per client address in this process."""

    minute: int | None = Field(default=None, gt=0)
    hour: int | None = Field(default=None, gt=0)
    limit_by: Literal["ip"]
    policy: Literal["local"]
    fault_tolerant: bool = True
    hide_client_headers: Literal[False] = False

    @model_validator(mode="after")
    def _one_window(self) -> "RateLimitingConfig":
        if sum(getattr(self, period) is not None for period in _PERIOD_SECONDS) != 1:
            raise ValueError("exactly one of minute and hour can be honoured")
        return self

    @property
    def window(self) -> tuple[int, int]:
        """How many requests, in how many seconds."""
        return next((limit, seconds) for period, seconds in _PERIOD_SECONDS.items() if (limit := getattr(self, period)))


class RateLimiting(_Plugin):
    name: Literal["rate-limiting"]
    config: RateLimitingConfig


class PrometheusConfig(Strict):
    """Envoy counts all of this whether asked or not; only what it cannot tell apart (consumers) is refused."""

    per_consumer: Literal[False] = False
    status_code_metrics: bool = False
    latency_metrics: bool = False
    bandwidth_metrics: bool = False


class Prometheus(_Plugin):
    name: Literal["prometheus"]
    config: PrometheusConfig = PrometheusConfig()


class GatewayProblem(NamedTuple):
    """One row of the Kong file's table of problems; `{service}` in `detail` stands for the service's name."""

    code: str
    title: str
    detail: str


class PreFunctionConfig(Strict):
    """The Lua texts with an equivalent here.

    They say to the services that it is the gateway who asks, and turn the gateway's own errors into problem+json.
    """

    access: list[str] = Field(min_length=1, max_length=1)
    header_filter: list[str] = Field(min_length=1, max_length=1)
    body_filter: list[str] = Field(min_length=1, max_length=1)

    @model_validator(mode="after")
    def _known_text(self) -> "PreFunctionConfig":
        digest = self.digest()
        if digest != _KNOWN_LUA:
            raise ValueError(f"this Lua has no equivalent in gateway/envoy: sha256 {digest}, known is {_KNOWN_LUA}")
        if not {400, 500} <= self.problems().keys():
            raise ValueError("the table of problems needs rows for 400 and 500, which stand for the rest")
        return self

    def digest(self) -> str:
        """Of all the Lua but the rows of the table, which may be edited freely."""
        text = "\0".join([self.access[0], self.header_filter[0], _PROBLEM_ROW.sub("", self.body_filter[0])])
        return hashlib.sha256(text.encode()).hexdigest()

    def problems(self) -> dict[int, GatewayProblem]:
        """The problem for each status."""
        rows = _PROBLEM_ROW.finditer(self.body_filter[0])
        return {int(row[1]): GatewayProblem(*row.group(2, 3, 4)) for row in rows}


_PROBLEM_ROW = re.compile(r'^ *\[(\d{3})\] = \{"([^"\\%]+)", "([^"\\%]+)", "([^"\\%]+)"\},\n', re.MULTILINE)
_KNOWN_LUA = "667793fe0a194f2b44b42801d8df088b77c8d9395a18db74a93e25362044ca94"


class PreFunction(_Plugin):
    name: Literal["pre-function"]
    instance_name: Literal["gateway"]
    config: PreFunctionConfig


GlobalPlugin = Annotated[
    Cors | CorrelationId | PreFunction | RequestTransformer | RequestSizeLimiting | RateLimiting | Prometheus,
    Field(discriminator="name"),
]
# What a route may set for itself, over the global one.
RoutePlugin = RequestSizeLimiting
