"""docs/openai.md says what is supported, and of nothing that OpenAI's client cannot call."""

from openai.types import CreateEmbeddingResponse, VectorStoreSearchResponse

from local.layout import REPOSITORY
from services.topology import SERVICES
from shared.openai import OPENAI
from tests.architecture.apps import dialect_of, operations
from tests.architecture.openai_calls import calls, unnamed
from tests.architecture.openai_page import BASE, page


def test_the_page_is_what_the_routes_say() -> None:
    assert (REPOSITORY / "docs" / "openai.md").read_text() == page(), "run `make docs`"


def test_what_answers_as_openais_is_where_its_client_asks() -> None:
    ours = {
        (method, unnamed(path.removeprefix(BASE)))
        for service, method, path, described in operations(*SERVICES)
        if dialect_of((service, method, path, described)) is OPENAI
    }

    assert ours
    assert ours - calls().keys() == set()


def test_the_calls_of_the_client_are_found() -> None:
    found = calls()

    embeddings, search = found["POST", "/embeddings"], found["POST", "/vector_stores/{}/search"]
    assert {"input", "model", "dimensions", "encoding_format", "user"} <= set(embeddings.parameters)
    assert (embeddings.answer, embeddings.is_list) == (CreateEmbeddingResponse, False)
    assert {"query", "filters"} <= set(search.parameters)
    assert (search.answer, search.is_list) == (VectorStoreSearchResponse, True)
    assert found["GET", "/files/{}"].parameters == ()
