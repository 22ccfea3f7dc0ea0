"""Blobs in a bucket of S3, or of a server that speaks like it: one object each, put only where there is none."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from services.vectors.adapters.blobs_folder import COMPONENT, PROBE, PROBED
from services.vectors.adapters.fullness import absent
from services.vectors.domain import Blob
from services.vectors.errors import EngineKeyRefused
from shared.errors import UpstreamTimeout
from shared.health import Finding
from shared.schemas import new_id

if TYPE_CHECKING:
    from obstore import Bytes
    from obstore.store import S3Config

_CONNECT: Final = timedelta(seconds=2)
_RETRIES: Final = 2
Result = TypeVar("Result")


class S3Blobs:
    """Needs a server that keeps to `If-None-Match: *`, as S3 does, MinIO, R2 and Ceph."""

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        *,
        endpoint: str | None = None,
        region: str,
        key_id: str | None = None,
        secret: str | None = None,
    ) -> None:
        """`url` is `s3://bucket/prefix`; without a key it is looked for where AWS' own clients do."""
        place = urlsplit(url)
        seconds = timedelta(seconds=timeout_seconds)
        config: S3Config = {"region": region}
        if endpoint:
            config["endpoint"] = endpoint
        if key_id and secret:
            config |= {"access_key_id": key_id, "secret_access_key": secret}
        self._seconds = timeout_seconds
        self._store = S3Store(
            place.netloc,
            prefix=place.path.strip("/") or None,
            config=config,
            client_options={
                "timeout": seconds,
                "connect_timeout": _CONNECT,
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": seconds},
        )

    async def put(self, path: str, content: bytes) -> bool:
        try:
            await self._done(obstore.put_async(self._store, path, content, mode="create", use_multipart=False))
        except AlreadyExistsError:
            return False
        return True

    async def get(self, path: str) -> bytes | None:
        try:
            return bytes(await self._done(self._got(path)))
        except FileNotFoundError:
            return None

    async def list(self, folder: str) -> list[Blob]:
        found = await self._done(obstore.list(self._store, folder).collect_async())
        blobs = [Blob(one["path"], one["size"], one["last_modified"]) for one in found]
        return sorted(blobs, key=lambda blob: blob.path)

    async def delete(self, path: str) -> None:
        paths = [path, *(blob.path for blob in await self.list(path))]
        await self._done(obstore.delete_async(self._store, paths))

    async def check(self) -> None:
        path = PROBE + new_id()
        await self.put(path, PROBED)
        found = await self.get(path)
        await self.delete(path)
        if found != PROBED:
            raise Finding("what is put is not what is got", "look at the bucket of FILES_URL")

    async def aclose(self) -> None:
        """The store has nothing to close: its connections end with the process."""

    async def _got(self, path: str) -> "Bytes":
        return await (await obstore.get_async(self._store, path)).bytes_async()

    async def _done(self, work: Awaitable[Result]) -> Result:
        """Raises AlreadyExistsError and FileNotFoundError, which whoever asked expects."""
        try:
            async with asyncio.timeout(self._seconds):
                with _our_errors():
                    return await work
        except TimeoutError as error:
            raise UpstreamTimeout(COMPONENT) from error


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except AlreadyExistsError:
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise absent(COMPONENT) from error
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise EngineKeyRefused(COMPONENT, "FILES_S3_KEY_ID or FILES_S3_SECRET") from error
    except BaseError as error:
        raise absent(COMPONENT, said=str(error)) from error
