"""What kinds of tasks say alike about the collections of `vectors`: its bounds, so that what it would refuse is refused
at once."""

from typing import Annotated, Literal

from pydantic import Field

CollectionName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["handbook"])]
EngineName = Literal["qdrant", "chroma", "faiss"]
