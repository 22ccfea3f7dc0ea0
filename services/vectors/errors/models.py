"""Of the models that embed texts and reorder results."""

from shared.errors import Invalid, NotFound, Unavailable, UpstreamFailed


class ModelMismatch(Invalid):
    code = "vectors.model_mismatch"
    meaning = (
        "The collection's texts were embedded with another model than the one here, so text would be compared with "
        "what it cannot be compared with; `detail` names both. Vectors of one's own are taken."
    )

    def __init__(self, pointer: str, *, name: str, kept: str, here: str) -> None:
        detail = f"Collection {name!r} holds texts embedded with {kept!r}; here text is embedded with {here!r}."
        super().__init__(detail, at=(pointer, "model_mismatch"))


class UnknownModel(Invalid):
    code = "vectors.unknown_model"
    meaning = "There is no embedding model of this name; `detail` names the one that there is."

    def __init__(self, asked: str, here: str) -> None:
        detail = f"There is no embedding model {asked!r} here; there is {here!r}."
        super().__init__(detail, at=("/model", "unknown_model"))


class EmbeddingModelNotFound(NotFound):
    code = "vectors.embedding_model_not_found"
    meaning = "There is no embedding model of this name for `/embeddings`; `message` names the one that there is."

    def __init__(self, asked: str, here: str) -> None:
        detail = f"There is no embedding model {asked!r} here; there is {here!r}."
        super().__init__(detail, at=("/model", "unknown_model"))


class DimensionsFixed(Invalid):
    code = "vectors.dimensions_fixed"
    meaning = "The model's vectors have one number of dimensions, and are not made shorter; `detail` names it."

    def __init__(self, model: str, dimension: int) -> None:
        detail = f"Vectors of {model!r} have {dimension} dimensions, and no other number."
        super().__init__(detail, at=("/dimensions", "dimensions_fixed"))


class TooMuchText(Invalid):
    code = "vectors.too_much_text"
    meaning = "The model here cannot embed so much text in the time of one request; `detail` says how much it can."

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"About {most_bytes:,} bytes of text can be embedded in one request at the pace of the model here: "
            "send it in several."
        )


class TooManyNumbers(Invalid):
    code = "vectors.too_many_numbers"
    meaning = (
        "The vectors of so many texts have more numbers together than one answer may: `message` says how many texts of "
        "the model here do not."
    )

    def __init__(self, most_texts: int, dimension: int) -> None:
        detail = f"{most_texts:,} vectors of {dimension:,} dimensions fit into one answer: send the texts in several."
        super().__init__(detail, at=("/input", "too_many_numbers"))


class TextExpands(Invalid):
    code = "vectors.text_expands"
    meaning = (
        "The text is full of characters that stand for a phrase each, such as U+FDFA: written out, as models read it, "
        "it is longer than any text may be."
    )

    def __init__(self, most_chars: int) -> None:
        super().__init__(
            f"Written out (NFKC), as models read it, a text has more than {most_chars:,} characters: send it in parts."
        )


class EmbeddingsBusy(Unavailable):
    """Nothing was done: what is under way takes as long as a request has."""

    code = "vectors.embeddings_busy"
    meaning = (
        "More text waits to be embedded than can be in the time of a request; nothing was done, and `Retry-After` says "
        "when there is room."
    )

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(
            "embeddings",
            retry_after_seconds=retry_after_seconds,
            detail="More text waits to be embedded than can be in time; nothing was done.",
        )


class EmbeddingsFailed(UpstreamFailed):
    code = "vectors.embeddings_failed"
    meaning = "The embedding model refused the text or gave an answer that makes no sense."
    default_detail = "embeddings gave an invalid answer."


class RerankUnconfigured(Invalid):
    code = "vectors.rerank_unconfigured"
    meaning = (
        "No model reorders results here: `RERANK_URL` names none. `GET /api/v1/vectors/engines` says whether one does."
    )

    def __init__(self) -> None:
        detail = "No model reorders results here, as RERANK_URL is not set: search without 'rerank'."
        super().__init__(detail, at=("/rerank", "rerank_unconfigured"))


class RerankFailed(UpstreamFailed):
    code = "vectors.rerank_failed"
    meaning = "The model that reorders results refused the request or gave an answer that makes no sense."
    default_detail = "rerank gave an invalid answer."
