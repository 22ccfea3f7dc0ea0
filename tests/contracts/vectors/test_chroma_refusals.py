"""What ChromaDB refuses is told as what it is, over a real server that refuses."""

import pytest

from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.chroma_api import ChromaFailed
from services.vectors.errors import EngineKeyRefused
from shared.errors import Unavailable
from tests.contracts.vectors.qdrant_server import rest_server


async def asked(status: int) -> None:
    async with rest_server(status) as url:
        engine = ChromaEngine(url, 5)
        try:
            await engine.check()
        finally:
            await engine.aclose()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_is_said_to_be_one(status: int) -> None:
    with pytest.raises(EngineKeyRefused, match="CHROMADB_URL"):
        await asked(status)


@pytest.mark.parametrize("status", [429, 500, 503, 507])
async def test_what_it_cannot_do_now_may_be_tried_again(status: int) -> None:
    with pytest.raises(Unavailable):
        await asked(status)


async def test_what_should_not_have_been_asked_is_a_fault_of_ours() -> None:
    with pytest.raises(ChromaFailed):
        await asked(400)
