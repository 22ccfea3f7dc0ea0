"""The Kong file as types: what can be honoured parses, everything else is refused with its place in the file."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from gateway.envoy.plugins import GlobalPlugin, RequestSizeLimiting, RoutePlugin, Strict

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Milliseconds = Annotated[int, Field(gt=0, le=3_600_000)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_CONSUL_SUFFIX = ".service.consul"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's reads the file six times as fast
P = TypeVar("P")


class KongFileError(Exception):
    """The file cannot be run as it stands; one line for each reason."""

    def __init__(self, path: Path, reasons: Iterable[str]) -> None:
        super().__init__("\n".join(f"{path}: {reason}" for reason in reasons))


def _honoured_path(path: str) -> str:
    if not path.startswith("~"):
        if not _PLAIN_PATH.fullmatch(path):
            raise ValueError("a plain path begins with / and holds unreserved characters only")
        return path
    if not path.startswith("~/"):
        raise ValueError("a regular expression must begin with ~/")
    try:
        re.compile(path[1:])
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if "|" in re.sub(r"\([^()]*\)", "", path):
        raise ValueError("an alternative outside of parentheses escapes the anchor at the start")
    return path


KongPath = Annotated[str, AfterValidator(_honoured_path)]


class Route(Strict):
    """Kong strips paths unless told otherwise; here it must be told otherwise. Without methods it is for all.

    The Host that it sends is also the name that it wants in the certificate, so it must be the service's.
    """

    name: Name
    methods: list[Method] = []
    paths: list[KongPath] = Field(min_length=1)
    regex_priority: int = Field(default=0, ge=0)
    strip_path: Literal[False]
    preserve_host: Literal[False]
    # Envoy never holds a body or an answer back, so both wishes are met.
    request_buffering: bool = True
    response_buffering: bool = True
    plugins: list[RoutePlugin] = Field(default=[], max_length=1)


class Service(Strict):
    """A Consul service. `port` is Kong's fallback without an SRV record; discovery always gives one here.

    `https` wants the certificate of `host`. Without an authority in the settings Envoy speaks HTTP to it all the same.
    """

    name: Name
    protocol: Literal["http", "https"]
    tls_verify: bool = False
    host: str = Field(pattern=r"^[a-z0-9-]+\.service\.consul$")
    port: int = Field(ge=1, le=65535)
    connect_timeout: Milliseconds
    read_timeout: Milliseconds
    write_timeout: Milliseconds
    retries: int = Field(ge=0, le=5)
    routes: list[Route] = Field(min_length=1)

    @property
    def consul_name(self) -> str:
        return self.host.removesuffix(_CONSUL_SUFFIX)

    @model_validator(mode="after")
    def _verified(self) -> "Service":
        if (self.protocol == "https") != self.tls_verify:
            raise ValueError("https comes with `tls_verify: true`, and http without: else anybody may be the service")
        return self

    @model_validator(mode="after")
    def _one_idle_timer(self) -> "Service":
        if self.read_timeout != self.write_timeout:
            raise ValueError("read_timeout and write_timeout must be equal: Envoy has one timer for both directions")
        return self


class KongFile(Strict):
    """The whole file."""

    format_version: Literal["3.0"] = Field(alias="_format_version")
    services: list[Service] = Field(min_length=1)
    plugins: list[GlobalPlugin] = []

    @model_validator(mode="after")
    def _names_are_unique(self) -> "KongFile":
        _refuse_repeated("service", (service.name for service in self.services))
        _refuse_repeated("route", (route.name for service in self.services for route in service.routes))
        _refuse_repeated("global plugin", (plugin.name for plugin in self.plugins))
        return self

    @model_validator(mode="after")
    def _overrides_override_something(self) -> "KongFile":
        if self.plugin(RequestSizeLimiting) is None:
            for route in (route for service in self.services for route in service.routes):
                if route.plugins:
                    raise ValueError(f"route {route.name} sets a body limit of its own, but there is no global one")
        return self

    def plugin(self, kind: type[P]) -> P | None:
        """The enabled global plugin of this type, if the file has it."""
        return next((plugin for plugin in self.plugins if isinstance(plugin, kind) and plugin.enabled), None)


def _refuse_repeated(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{what} named more than once: {', '.join(repeated)}")


def parsed(text: str) -> Any:
    """What the YAML says. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - either of the two makes plain data only


def load(path: Path) -> KongFile:
    """The parsed file. Raises KongFileError naming every place that cannot be honoured."""
    try:
        document = parsed(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise KongFileError(path, [str(error)]) from error
    try:
        return KongFile.model_validate(document)
    except ValidationError as error:
        raise KongFileError(path, [_reason(problem) for problem in error.errors()]) from error


def _reason(problem: Any) -> str:
    """`services[0].routes[3].plugins[0].cors.config.origin: Extra inputs are not permitted`."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return f"{place.lstrip('.') or 'document'}: {problem['msg']}"
