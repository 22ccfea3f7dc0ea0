"""Vector stores know of ingestion what tasks say of it: each copy is held to what it was copied from."""

import re
from datetime import UTC, datetime

import pytest

from services.tasks.documents.failures import FAILURES
from services.tasks.documents.storing import OURS
from services.tasks.errors import DocumentInUse
from services.tasks.kinds.ingest_input import IngestInput
from services.vectors.stores.attachment_schemas import AttachmentRead, ChunkingRead, SizesRead
from services.vectors.stores.domain import RESERVED, Attachment, AttachmentStatus, Chunking, Failure
from tests.architecture.apps import app_of


def test_names_that_ingestion_sets_are_no_attributes() -> None:
    assert RESERVED == OURS


def test_sizes_that_nobody_chose_are_told_as_ingestion_takes_them() -> None:
    given = IngestInput.model_validate({"collection": "shop", "documents": [{"text": "x"}]})

    told = ChunkingRead.of(Chunking()).static

    assert told == SizesRead(max_chunk_size_tokens=given.most, chunk_overlap_tokens=given.overlap)


@pytest.mark.parametrize("code", FAILURES)
def test_a_document_that_cannot_be_read_is_to_blame(code: str) -> None:
    assert blamed(code) == ("unsupported_file" if code.startswith("tasks.document_type_") else "invalid_file")


def test_one_that_another_task_ingests_is_not() -> None:
    assert blamed(DocumentInUse.code) == "server_error"


def blamed(code: str) -> str:
    attachment = Attachment(
        file_id="file",
        file_name="guide.md",
        bytes=10,
        attributes={},
        chunking=Chunking(),
        version="1",
        created_at=datetime.now(UTC),
        status=AttachmentStatus.FAILED,
        failure=Failure(code, "why"),
    )
    error = AttachmentRead.of(attachment, "shop").last_error
    assert error is not None
    return error.code


def test_the_search_of_a_store_declares_what_the_search_that_it_is_made_of_refuses() -> None:
    """But for what no store's search asks for: a vector of the caller's own, and a reranking."""
    unasked = {"vectors.vector_invalid", "vectors.rerank_unconfigured", "vectors.rerank_failed"}

    ours, theirs = declared("/vectors/search/batch"), declared("/vector_stores/{vector_store_id}/search")

    assert "vectors.unsupported_capability" in ours
    assert ours - unasked <= theirs


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/vector_stores/{vector_store_id}/files/{file_id}/content", "get"),
        ("/vector_stores/{vector_store_id}/files/{file_id}", "post"),
        ("/vector_stores/{vector_store_id}/files/{file_id}", "delete"),
        ("/files/{file_id}", "delete"),
    ],
)
def test_who_reads_or_changes_records_declares_that_they_may_be_lost(path: str, method: str) -> None:
    assert "vectors.collection_lost" in declared(path, method)


def declared(path: str, method: str = "post") -> set[str]:
    operation = app_of("vectors").openapi()["paths"][f"/api/v1{path}"][method]
    return {
        code
        for one in operation["responses"].values()
        for code in re.findall(r"`(vectors\.[a-z_]+)`", one["description"])
    }
