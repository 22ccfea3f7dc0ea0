"""A model of reranking behind `POST /rerank`, that counts the query's words in a text, or answers what a test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Answer = tuple[int, bytes]


def by_words(body: dict[str, Any]) -> Answer:
    """Best first, as such servers answer: the share of the text's words that the query has."""
    asked = set(body["query"].lower().split())
    scores = [sum(word in asked for word in text.lower().split()) / len(text.split()) for text in body["documents"]]
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    return 200, results(*((at, scores[at]) for at in order))


def results(*pairs: tuple[Any, Any]) -> bytes:
    """The answer that gives each index its score."""
    return orjson.dumps({"id": "x", "results": [{"index": at, "relevance_score": score} for at, score in pairs]})


@dataclass
class RerankServer:
    """Where it answers, what it was asked with which key, and how it answers."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Answer] = by_words


@contextmanager
def rerank_server() -> Iterator[RerankServer]:
    """The server on a port of its own."""
    server = RerankServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.path == "/v2/rerank"
            server.asked.append(body)
            server.keys.append(self.headers["authorization"])
            status, content = server.answer(body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # who has read enough goes
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/v2"
        answering = threading.Thread(target=http.serve_forever)
        answering.start()
        try:
            yield server
        finally:
            http.shutdown()
            answering.join()
