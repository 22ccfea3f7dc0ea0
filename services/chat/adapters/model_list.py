"""Which models a provider lists, and what it says of them.

OpenAI's `/models` says no more than names; many that speak its protocol add how much a model holds, and whether it sees
images, each in a member of its own. llama.cpp answers any name and lists the model it has; how much of its window it
serves, and whether it has what it takes to see, `/props` says.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from services.chat.adapters.refusals import model_errors
from services.chat.errors import ModelRefused, ModelUnavailable
from services.chat.models.domain import Offer

_SECONDS = 2.0
_MAX_BYTES = 8 * 2**20
_MAX_MODELS, _MAX_NAME_CHARS, _MAX_TOKENS = 10_000, 200, 100_000_000
_WINDOWS = ("context_length", "max_model_len", "context_window", "max_context_length")
_ANSWERS = ("max_completion_tokens", "max_output_tokens")
_LLAMA_CPP = "llamacpp"
_NO_LIST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


async def read_offers(session: aiohttp.ClientSession, url: str) -> list[Offer]:
    """What the provider lists, in its order; none where it has no list.

    Raises ModelUnavailable, ModelRefused and ModelTimeout; then it is not known what it offers.
    """
    with model_errors():
        async with asyncio.timeout(_SECONDS):
            listed = await _read(session, f"{url}/models")
            rows = listed.get("data") if isinstance(listed, dict) else listed
            if not isinstance(rows, list):
                return []
            offers = [(offer, row.get("owned_by")) for row in rows[:_MAX_MODELS] if (offer := _offer(row))]
            if [owner for _, owner in offers] == [_LLAMA_CPP]:
                [(only, _)] = offers
                props = await _read(session, f"{url.removesuffix('/v1')}/props")
                return [Offer(only.id, _served(props) or only.window_tokens, sees=_sees(props))]
            return [offer for offer, _ in offers]


async def _read(session: aiohttp.ClientSession, address: str) -> Any:
    """The JSON there; None where there is nothing."""
    async with session.get(address) as response:
        if response.status in _NO_LIST:
            return None
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ModelRefused("The model did not accept the configured credentials.")
        if response.status != HTTPStatus.OK:
            raise ModelUnavailable
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > _MAX_BYTES:
                raise ModelRefused
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise ModelRefused from error


def _offer(row: Any) -> Offer | None:
    """The model of one row; None for a row that has no name which a request could hold."""
    if not isinstance(row, dict):
        return None
    name = row.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARS:
        return None
    top: Mapping[str, Any] = row["top_provider"] if isinstance(row.get("top_provider"), dict) else {}
    meta: Mapping[str, Any] = row["meta"] if isinstance(row.get("meta"), dict) else {}
    window = _first(row, _WINDOWS) or _first(top, _WINDOWS) or _first(meta, ("n_ctx", "n_ctx_train"))
    return Offer(name, window, _first(row, _ANSWERS) or _first(top, _ANSWERS), _sees(row))


def _first(members: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first of them that is a count of tokens."""
    counts = (members.get(name) for name in names)
    return next((one for one in counts if type(one) is int and 0 < one <= _MAX_TOKENS), None)


def _sees(told: Any) -> bool:
    """Whether it says so: a list of what it takes (OpenRouter), or a member for that alone (llama.cpp, Mistral)."""
    if not isinstance(told, dict):
        return False
    architecture = told.get("architecture")
    beside = architecture if isinstance(architecture, dict) else {}
    taken = [one.get("input_modalities") for one in (told, beside)]
    able = [one for name in ("modalities", "capabilities") if isinstance(one := told.get(name), dict)]
    return any(isinstance(one, list) and "image" in one for one in taken) or any(
        one.get("vision") is True for one in able
    )


def _served(props: Any) -> int | None:
    settings = props.get("default_generation_settings") if isinstance(props, dict) else None
    return _first(settings, ("n_ctx",)) if isinstance(settings, dict) else None
