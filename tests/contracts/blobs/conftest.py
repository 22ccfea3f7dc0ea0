"""Where files are kept, under one suite: a folder, and a bucket."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.vectors.adapters.blobs_folder import FolderBlobs
from services.vectors.adapters.blobs_s3 import S3Blobs
from services.vectors.ports import Blobs
from shared.schemas import new_id
from tests.fixtures.buckets import Bucket, open_bucket

SECONDS = 20.0


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    with open_bucket() as opened:
        yield opened


def in_bucket(bucket: Bucket, name: str | None = None, seconds: float = SECONDS) -> S3Blobs:
    """A part of the bucket that nobody else has; or of another one there, by its name."""
    url, key = f"s3://{name or bucket.name}/{new_id()}", {"key_id": "key", "secret": "of nobody"}
    return S3Blobs(url, seconds, endpoint=bucket.endpoint, region="us-east-1", **key)


@pytest.fixture(params=["folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    """Each in turn, with nothing in it."""
    if request.param == "folder":
        folder = FolderBlobs(tmp_path / "files", SECONDS)
        await folder.open()
        opened: Blobs = folder
    else:
        opened = in_bucket(request.getfixturevalue("bucket"))
    yield opened
    await opened.aclose()
