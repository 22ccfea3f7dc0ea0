"""The part of Kong's Admin API that a synchronisation meets, served: what 3.9 answers in DB-less mode.

Its shapes are those of Kong's `api/routes/config.lua` and of its declarative export: flat, by id, all fields filled in.
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema
import yaml

from gateway.envoy.kong import parsed
from tests.gateway.running import HERE, KONG_FILE

Json = dict[str, Any]
DEFAULTS: dict[str, Json] = {
    "services": {"enabled": True, "path": None, "tags": None, "client_certificate": None},
    "routes": {"protocols": ["http", "https"], "hosts": None, "request_buffering": True, "response_buffering": True},
    "plugins": {"enabled": True, "protocols": ["grpc", "grpcs", "http", "https"], "service": None, "route": None},
}
PLUGINS = ["correlation-id", "cors", "pre-function", "prometheus", "rate-limiting", "request-size-limiting"]


@dataclass
class Kong:
    """One, and how it is to behave."""

    version: str = "3.9.3"
    database: str = "off"
    plugins: list[str] = field(default_factory=lambda: [*PLUGINS, "request-transformer"])
    text: str = '_format_version: "3.0"\n'
    failure: tuple[int, Json] | None = None
    forgets: bool = False
    loaded: list[str] = field(default_factory=list)
    url: str = ""

    def node(self) -> tuple[int, Json]:
        available = {name: {"priority": 1, "version": self.version} for name in self.plugins}
        plugins = {"available_on_server": available, "enabled_in_cluster": []}
        return 200, {"version": self.version, "configuration": {"database": self.database}, "plugins": plugins}

    def show(self) -> tuple[int, Json]:
        return 200, {"config": yaml.dump(exported(parsed(self.text)), Dumper=yaml.CSafeDumper)}

    def take(self, text: str) -> tuple[int, Json]:
        if self.failure:
            return self.failure
        if hashlib.md5(text.encode()).digest() == hashlib.md5(self.text.encode()).digest():  # noqa: S324 - as Kong does
            return 304, {}
        document = parsed(text)
        if errors := list(VALID.iter_errors(document)):
            return 400, refusal(errors)
        self.loaded.append(text)
        if not self.forgets:
            self.text = text
        return 201, exported(document)


VALID = jsonschema.Draft4Validator(json.loads((HERE / "kong_json_schema.json").read_text()))


def refusal(errors: list[jsonschema.ValidationError]) -> Json:
    flattened = [
        {
            "entity_type": "service",
            "entity_name": "auth",
            "errors": [{"type": "field", "field": str(list(error.path)[-1]), "message": error.message}],
        }
        for error in errors
    ]
    message = "declarative config is invalid: {}"
    name = "invalid declarative configuration"
    return {"code": 14, "name": name, "message": message, "fields": {}, "flattened_errors": flattened}


def exported(document: Json) -> Json:
    """Flat, with ids that name each other."""
    out: Json = {key: value for key, value in document.items() if key not in DEFAULTS}
    out |= {"services": [], "routes": [], "plugins": []}
    for service in document.get("services") or []:
        made = entity("services", service, "routes", "plugins")
        for route in service.get("routes") or []:
            way = entity("routes", route, "plugins") | {"service": made["id"]}
            out["plugins"] += [entity("plugins", one) | {"route": way["id"]} for one in route.get("plugins") or []]
            out["routes"].append(way)
        out["plugins"] += [entity("plugins", one) | {"service": made["id"]} for one in service.get("plugins") or []]
    out["services"] += [entity("services", one, "routes", "plugins") for one in document.get("services") or []]
    out["plugins"] += [entity("plugins", one) for one in document.get("plugins") or []]
    return out


def entity(kind: str, fields: Json, *left_out: str) -> Json:
    kept = {name: value for name, value in fields.items() if name not in left_out}
    return (
        DEFAULTS[kind] | {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {fields['name']}")), "created_at": 1} | kept
    )


@contextmanager
def served(kong: Kong) -> Iterator[Kong]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(*{"/": kong.node, "/config": kong.show}[self.path]())

        def do_POST(self) -> None:
            path, _, query = self.path.partition("?")
            assert (path, set(query.split("&"))) == ("/config", {"check_hash=1", "flatten_errors=1"})
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*kong.take(sent["config"]))

        def answer(self, status: int, told: Json) -> None:
            body = b"" if status == 304 else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    kong.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield kong
    finally:
        server.shutdown()
        server.server_close()


OURS = KONG_FILE.read_text()
