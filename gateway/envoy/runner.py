"""The gateway: Envoy, run from the Kong file, and its endpoints kept current."""

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
from pydantic import ValidationError

from gateway.envoy.clusters import endpoints_path
from gateway.envoy.compile import compile_bootstrap
from gateway.envoy.endpoints import EndpointFile, parse_addresses
from gateway.envoy.kong import KongFile, KongFileError, load
from gateway.envoy.process import EnvoyFailed, EnvoyProcess
from gateway.envoy.settings import GatewaySettings
from gateway.envoy.tls import write_authority
from shared.discovery import ConsulWatch
from shared.loops import in_background
from shared.telemetry import JsonFormatter

_log = logging.getLogger("gateway")
_FIRST_ANSWER_SECONDS = 2.0


def main(early: "subprocess.Popen[bytes] | None" = None) -> None:
    """Refuses a file or settings it cannot honour before anything is started, but for what `early` has been found."""
    try:
        settings = GatewaySettings()
        kong = load(settings.kong_config)
    except (ValidationError, KongFileError) as error:
        sys.exit(f"the gateway cannot start:\n{error}")
    _configure_log(settings.log_level)
    try:
        asyncio.run(run(kong, settings, early))
    except* (EnvoyFailed, OSError, ValueError) as failures:
        for cause in _causes(failures):
            _log.error("the gateway failed", extra={"fields": {"cause": str(cause)}})
        sys.exit(1)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The single errors of a group of groups."""
    if isinstance(failure, BaseExceptionGroup):
        for inner in failure.exceptions:
            yield from _causes(inner)
    else:
        yield failure


async def run(kong: KongFile, settings: GatewaySettings, early: "subprocess.Popen[bytes] | None" = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises EnvoyFailed when Envoy ends by itself."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    envoy = EnvoyProcess(settings, early)
    if settings.tls_authority_file:
        write_authority(settings.gateway_state_dir, settings.tls_authority_file)
    else:
        _log.warning("TLS_AUTHORITY_FILE is not set: what goes to the services is not encrypted")
    async with endpoints_kept(kong, settings), asyncio.TaskGroup() as tasks:
        try:
            await envoy.start(compile_bootstrap(kong, settings))
            watch = tasks.create_task(envoy.failed())
            _log.info("ready", extra={"fields": {"host": settings.gateway_host, "port": settings.gateway_port}})
            await stopping.wait()
            watch.cancel()
        finally:
            await envoy.stop()
    _log.info("stopped")


@asynccontextmanager
async def endpoints_kept(kong: KongFile, settings: GatewaySettings) -> AsyncIterator[None]:
    """Endpoint files for every service, filled as far as possible on entry and kept current inside."""
    files = {
        service.consul_name: EndpointFile(endpoints_path(settings.gateway_state_dir, service.name), service.name)
        for service in kong.services
    }
    if settings.discovery == "static" or settings.consul_url is None:
        await _fill(files, settings.static_services, "https" if settings.tls_authority_file else "http")
        yield
        return
    token = settings.consul_token.get_secret_value() if settings.consul_token else None
    async with httpx.AsyncClient() as client:
        watches = [
            ConsulWatch(settings.consul_url, client, name, file.take, token=token, is_known=bool(file.endpoints))
            for name, file in files.items()
        ]
        async with in_background(*(watch.run() for watch in watches)):
            await _first_answers(watches)
            yield


async def _fill(files: dict[str, EndpointFile], addresses: dict[str, str], scheme: str) -> None:
    for name, file in files.items():
        await file.replace(parse_addresses(addresses[name], scheme) if name in addresses else [])
    if missing := files.keys() - addresses.keys():
        _log.warning("services without an address", extra={"fields": {"services": sorted(missing)}})


async def _first_answers(watches: list[ConsulWatch]) -> None:
    """Ready should mean that Envoy knows its endpoints; a Consul that is away only costs this moment."""
    try:
        async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
            await asyncio.gather(*(watch.answered.wait() for watch in watches))
    except TimeoutError:
        _log.warning("starting with the endpoints known from before: consul did not answer")


def _configure_log(level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter("gateway"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
