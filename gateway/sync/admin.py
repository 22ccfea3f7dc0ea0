"""The four calls of Kong's Admin API that the synchronisation makes (DB-less mode, Kong 3.9)."""

import json
import ssl
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
import yaml

from gateway.envoy.kong import parsed
from gateway.sync.errors import AdminUnreachable, FileRefused, KongBusy

_TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)  # Kong loads a file for as long as its workers take
_LARGEST_ANSWER: Final = 16 * 2**20
_SHOWN: Final = 20
_BUSY: Final = frozenset({429, 503, 504})


@dataclass(frozen=True, slots=True)
class Node:
    """What a Kong says of itself."""

    version: tuple[int, ...]
    database: str
    plugins: frozenset[str]


class AdminApi:
    """One Kong. Every call raises AdminUnreachable when no Admin API answers it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, verify=ssl.create_default_context())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def node(self) -> Node:
        """Which Kong this is."""
        told = self._told("/")
        try:
            version = tuple(int(part) for part in told["version"].split("-")[0].split("."))
            available = told["plugins"]["available_on_server"]
            return Node(version, told["configuration"]["database"], frozenset(available))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise AdminUnreachable(f"{self._url}: what answers is no Admin API of Kong: {error!r}") from error

    def configuration(self) -> dict[str, Any]:
        """What it runs with: every entity with its id and all its fields."""
        told = self._told("/config")
        try:
            document = parsed(told["config"])
        except (LookupError, yaml.YAMLError, AttributeError, TypeError) as error:
            raise AdminUnreachable(f"{self._url}/config: not a configuration: {error!r}") from error
        return document if isinstance(document, dict) else {}

    def load(self, text: str) -> bool:
        """Replaces its configuration, all or nothing; False when it had this very text already.

        Raises FileRefused with Kong's reasons, and KongBusy.
        """
        parameters = {"check_hash": "1", "flatten_errors": "1"}
        try:
            status, body = self._answer("POST", "/config", params=parameters, json={"config": text})
        except AdminUnreachable as error:
            raise AdminUnreachable(f"{error}; whether it took the file is not known: run this again") from error
        if status in {201, 304}:
            return status == 201
        if status in _BUSY:
            raise KongBusy(f"{self._url}: Kong is busy ({status} {_message(body)}); try again")
        raise FileRefused("\n".join([f"Kong refuses the file ({status}):", *_reasons(body)]))

    def _told(self, path: str) -> dict[str, Any]:
        status, body = self._answer("GET", path)
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if status != 200 or not isinstance(told, dict):
            raise AdminUnreachable(f"{self._url}{path} answers {status}: {_message(body)}")
        return told

    def _answer(self, method: str, path: str, **content: Any) -> tuple[int, bytes]:
        """Status and body, which is read no further than any Kong's goes."""
        body = b""
        try:
            with self._client.stream(method, path, **content) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LARGEST_ANSWER:
                        raise AdminUnreachable(f"{self._url}{path} answers with more than {_LARGEST_ANSWER} bytes")
        except httpx.HTTPError as error:
            raise AdminUnreachable(f"{self._url}{path}: {error or type(error).__name__}") from error
        return answer.status_code, body


def _message(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace")
    return str(told.get("message", told))[:500] if isinstance(told, dict) else str(told)[:500]


def _reasons(body: bytes) -> list[str]:
    """Kong's flattened errors, a line each; its message where there are none."""
    try:
        told = json.loads(body)
        found = [
            f"  {entity.get('entity_type', '')} {entity.get('entity_name', '')}: "
            f"{error.get('field', '')}: {error.get('message') or error.get('messages')}"
            for entity in told.get("flattened_errors", [])
            for error in entity["errors"]
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        found = []
    return found[:_SHOWN] or [f"  {_message(body)}"]
