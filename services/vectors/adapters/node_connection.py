"""Asks the node that owns the data directory, in the name of whoever is served here; waits for one that restarts."""

import asyncio
import functools
import time
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from services.vectors.adapters import node_protocol as protocol
from services.vectors.adapters.node_protocol import CATALOGUE, MEDIA_TYPE, NODE
from services.vectors.domain import EngineName
from shared import deadlines
from shared.calls import ServiceClient, in_pieces
from shared.errors import Relayed, ServiceError, Unavailable, UpstreamFailed, UpstreamTimeout
from shared.health import PROBE_SECONDS, Finding
from shared.identity import ServiceIdentity, acted_for
from shared.tls import meant, refusal_in

AWAY_SECONDS = 25.0  # a restart takes some four seconds, several times that on a machine that is busy
_LOOK_SECONDS = 0.1
_TOLD = 0.95  # of the caller's patience, so that the answer says what was too slow
_LARGE_BYTES = 64 * 2**10  # takes milliseconds to read or write, so it is not done on the event loop
_START = "start the process of FAISS_URL, or look at its log"


class NodeConnection:
    """One node, which is asked with the token of the caller; by what is done for nobody, with that of this service.

    A call that was refused or cut off is repeated once, when the node answers again. All calls wait for that together,
    by one look ten times a second; once it has been away for `AWAY_SECONDS` they fail at once.
    """

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        services: ServiceClient,
        identity: ServiceIdentity,
        *,
        seconds: float,
        whole_seconds: float,
    ) -> None:
        """`services` knows `NODE` at `url`, and `http` is the pool it uses.

        One try may take `seconds`, all of it with the wait in between `whole_seconds`.
        """
        self._url, self._http = url.rstrip("/"), http
        self._seconds, self._whole_seconds = seconds, whole_seconds
        self._services, self._identity = services, identity
        self._returning: asyncio.Task[bool] | None = None
        self._away_since: float | None = None

    async def ask(self, place: str, method: str, *, repeatable: bool = True, **arguments: Any) -> Any:
        """What the method of the port at `place` returns there.

        Raises what it raises there, Unavailable and UpstreamTimeout naming the component also for the node itself.
        """
        form = protocol.form_of(place, method)
        message = await _aside(arguments, functools.partial(protocol.written, form.arguments, arguments))
        try:
            async with asyncio.timeout(deadlines.remaining(self._whole_seconds) * _TOLD):
                answer = await self._answered(place, method, message, repeatable=repeatable)
        except TimeoutError as error:
            raise (_away(place) if self._away_since else UpstreamTimeout(component_of(place))) from error
        try:
            return await _aside(answer, functools.partial(protocol.result_of, form.result, answer))
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamFailed(f"{NODE} gave an invalid answer.") from error

    async def _answered(self, place: str, method: str, message: bytes, *, repeatable: bool) -> bytes:
        try:
            return await self._sent(place, method, message)
        except _CutOff as cut_off:
            if not (repeatable or cut_off.is_unsent) or not await self._is_back():
                raise _away(place) from cut_off
        try:
            return await self._sent(place, method, message)
        except _CutOff as cut_off:
            raise _away(place) from cut_off

    async def _sent(self, place: str, method: str, message: bytes) -> bytes:
        caller = acted_for()
        token = caller.token if caller else await self._identity.token()
        try:
            answer = await self._services.call(
                NODE,
                "POST",
                f"/internal/vectors/{place}/{method}",
                token=token,
                content=in_pieces(message),
                headers={"content-type": MEDIA_TYPE, "content-length": str(len(message))},
                timeout_seconds=self._seconds,
                idempotent=False,  # what is repeated, and when, is decided here
            )
        except ServiceError as error:
            raise _translated(place, error) from error
        self._away_since = None
        return answer.content

    async def _is_back(self) -> bool:
        """Waits for it. False at once while it has been away for long."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > AWAY_SECONDS:
            return False
        if self._returning is None or self._returning.done():
            with deadlines.of_its_own(AWAY_SECONDS):
                self._returning = asyncio.create_task(self._look_out(self._away_since), name=f"look:{NODE}")
        return await asyncio.shield(self._returning)

    async def _look_out(self, since: float) -> bool:
        while time.monotonic() - since <= AWAY_SECONDS:
            try:
                if (await self._get("/health/live", seconds=1.0)).is_success:
                    self._away_since = None
                    return True
            except httpx.HTTPError:
                pass  # not yet
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def check(self, component: str) -> None:
        """What its readiness says of `component`. Raises Finding, naming the node."""
        try:
            checks = orjson.loads((await self._get("/health/ready", seconds=PROBE_SECONDS)).content)["checks"]
            found: Mapping[str, Any] = checks[component]
        except httpx.HTTPError as error:
            refused = refusal_in(error)
            said = "its certificate was refused" if refused else "it does not answer"
            raise Finding(f"{component} is kept by the node at FAISS_URL, and {said}", _START) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Finding(f"{component} is not kept by the node at FAISS_URL", _START) from error
        if found.get("status") != "pass":
            raise Finding("the node at FAISS_URL says", str(found.get("detail")))

    async def _get(self, path: str, seconds: float) -> httpx.Response:
        return await self._http.get(f"{self._url}{path}", timeout=seconds, extensions=meant(NODE))

    async def aclose(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.gather(self._returning, return_exceptions=True)


class _CutOff(Exception):
    """Nobody answered; `is_unsent` where nobody was asked either."""

    def __init__(self, *, is_unsent: bool) -> None:
        super().__init__()
        self.is_unsent = is_unsent


def component_of(place: str) -> str:
    """The name by which health checks and errors call what is asked for."""
    return place if place == CATALOGUE else EngineName(place).component


def _translated(place: str, error: ServiceError) -> Exception:
    """What went wrong with the call itself; what the port raised came as an answer."""
    component = component_of(place)
    cause = error.__cause__
    match error:
        case Unavailable() if isinstance(cause, httpx.TransportError) and refusal_in(cause) is None:
            return _CutOff(is_unsent=isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout))
        case Unavailable(component="faiss"):
            return Unavailable(component, detail=error.detail)
        case UpstreamTimeout() | Relayed(status=504):
            return UpstreamTimeout(component)
        case Relayed(status=503):
            return Unavailable(component)
    return error


def _away(place: str) -> Unavailable:
    component = component_of(place)
    return Unavailable(component, detail=f"{component} is not available right now: its node does not answer.")


async def _aside(content: Any, work: Any) -> Any:
    """On a thread where there is much of it."""
    is_large = len(content) > _LARGE_BYTES if isinstance(content, bytes) else len(content.get("records", ())) > 32
    return await asyncio.to_thread(work) if is_large else work()
