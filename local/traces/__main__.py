"""The process: takes OTLP over HTTP, and shows what it has to whoever knows the key in the address.

What may be sent to it is open to every program of this machine, as with any collector: it is bounded, and shown to
nobody without the key. A page of a browser cannot send it anything: protobuf needs a permission that is not given.
"""

import hmac
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.concurrency import run_in_threadpool

from local.ports import LOOPBACK
from local.traces import pages
from local.traces.spans import NoTraces, read
from local.traces.store import TraceStore

MOST_SENT_BYTES: Final = 4 * 2**20
MOST_BYTES: Final = 16 * 2**20
"""Unpacked."""
PROTOBUF: Final = "application/x-protobuf"
_GZIP: Final = 16 + zlib.MAX_WBITS
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
TraceId = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]


def create_app(path: Path, key: str) -> FastAPI:
    """Keeps spans in the file `path`; its pages are under `/<key>/`, and any other key is 404."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.store = TraceStore(path)
        try:
            yield
        finally:
            app.state.store.close()

    def known(given: Annotated[str, PathParameter(alias="key", max_length=200)]) -> None:
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise HTTPException(404)

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.post("/v1/traces")(_take)
    app.get("/live")(_live)
    app.get("/{key}/", dependencies=[Depends(known)])(_list)
    app.get("/{key}/traces/{trace_id}", dependencies=[Depends(known)])(_show)
    return app


async def _take(request: Request) -> Response:
    """200 once the spans are kept; 400 for what is no OTLP, 413 for too much of it, 415 for another form of it."""
    if request.headers.get("content-type") != PROTOBUF:
        raise HTTPException(415, f"{PROTOBUF} is taken")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_SENT_BYTES:
            raise HTTPException(413)
    try:
        spans = list(read(_unpacked(body, request.headers.get("content-encoding", "identity"))))
    except NoTraces as error:
        raise HTTPException(400, str(error)) from error
    await run_in_threadpool(request.app.state.store.put, spans)
    return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise HTTPException(415, "gzip is taken, or nothing")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        plain = unpacking.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise NoTraces("not packed with gzip") from error
    if unpacking.unconsumed_tail:
        raise HTTPException(413)
    return plain


def _live() -> dict[str, str]:
    return {"status": "pass"}


def _list(
    request: Request, service: Annotated[str, Query(max_length=200)] = "", failed: Annotated[bool, Query()] = False
) -> HTMLResponse:
    store: TraceStore = request.app.state.store
    return HTMLResponse(pages.listed(store.newest(service, failed=failed), store.services()), headers=HEADERS)


def _show(request: Request, trace_id: TraceId) -> HTMLResponse:
    store: TraceStore = request.app.state.store
    if not (spans := store.spans(trace_id)):
        raise HTTPException(404)
    return HTMLResponse(pages.shown(spans), headers=HEADERS)


def main() -> None:
    """Serves until it is ended, by `TRACES_FILE`, `TRACES_KEY` and `PORT`."""
    app = create_app(Path(os.environ["TRACES_FILE"]), os.environ["TRACES_KEY"])
    uvicorn.run(app, host=LOOPBACK, port=int(os.environ["PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
