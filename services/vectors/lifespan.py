"""Opens what vectors runs on, in order, and closes it in reverse."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypedDict

from fastapi import FastAPI

from services.vectors.adapters.blobs_folder import FolderBlobs
from services.vectors.adapters.blobs_s3 import S3Blobs
from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_protocol import NODE
from services.vectors.adapters.tasks_ingestions import TasksIngestions
from services.vectors.aliases.service import AliasService
from services.vectors.backends import CATALOGUE_REMEDY, open_backends
from services.vectors.collections.presence import Presence
from services.vectors.collections.service import CollectionService
from services.vectors.copies.noting import Journal
from services.vectors.copies.service import CopyService
from services.vectors.domain import EngineName
from services.vectors.embeddings.service import EmbeddingService
from services.vectors.files import sweeping
from services.vectors.files.finishing import Finisher
from services.vectors.files.quota import FileLimits, FileQuota
from services.vectors.files.repository import FileRepository
from services.vectors.files.route import FILE_UPLOADS
from services.vectors.files.service import FileService
from services.vectors.files.sweeping import Sweeper
from services.vectors.ports import Blobs, VectorEngine
from services.vectors.records.bulk import UPLOADS
from services.vectors.records.listing import ListingService
from services.vectors.records.service import RecordService
from services.vectors.searching.service import SearchService
from services.vectors.settings import Settings
from services.vectors.stores import expiring
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.attributes import AttributeService
from services.vectors.stores.expiring import Activity
from services.vectors.stores.fencing import Fence
from services.vectors.stores.following import Following
from services.vectors.stores.parts import PartService
from services.vectors.stores.searching import StoreSearchService
from services.vectors.stores.service import StoreService
from services.vectors.stores.stopping import Stopping
from services.vectors.usage.domain import Quotas
from services.vectors.usage.service import UsageService
from shared.calls import ServiceClient, open_http_client
from shared.discovery import StaticDiscovery
from shared.health import STORE_REMEDY
from shared.limits import Shares
from shared.loops import in_background, keep
from shared.platform import Platform, open_platform
from shared.settings import CannotStart, require_address

FILES_REMEDY = "look at the folder of FILES_DIR and the free space there, or at the bucket of FILES_URL"


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    collections: CollectionService
    aliases: AliasService
    records: RecordService
    searches: SearchService
    listing: ListingService
    embeddings: EmbeddingService
    engines: Mapping[EngineName, VectorEngine]
    reranked_by: str | None
    usage: UsageService
    copies: CopyService
    uploads: Shares
    files: FileService
    file_uploads: Shares
    stores: StoreService
    attachments: AttachmentService
    attributes: AttributeService
    parts: PartService
    store_searches: StoreSearchService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(app))
        node = await _open_node(app, platform, stack)
        backends = await stack.enter_async_context(open_backends(settings, node))
        app.state.health.add("catalogue", backends.catalogue.check, remedy=CATALOGUE_REMEDY)
        for engine in backends.engines.values():
            present = Presence(backends.catalogue, engine)
            # Soft: the others still serve.
            app.state.health.add(engine.name.component, present.check, hard=False, remedy=STORE_REMEDY)
        auth, quotas = platform.auth, _quotas(settings)
        collections = CollectionService(
            backends.catalogue,
            backends.engines,
            platform.cursors,
            backends.embedder.dimension,
            auth,
            quotas.collections,
        )
        files = await _open_files(app, platform, stack)
        usage = UsageService(backends.catalogue, backends.engines, quotas)
        journal, fence, activity = Journal(backends.catalogue), Fence(backends.catalogue), Activity(backends.catalogue)
        records = RecordService(collections, backends.embedder, auth, usage, journal, fence)
        searches = SearchService(collections, backends.embedder, activity, backends.reranker)
        listing = ListingService(collections, platform.cursors)
        ingestions = TasksIngestions(platform.services, settings.submit_seconds)
        following, stopping = Following(backends.catalogue, ingestions), Stopping(backends.catalogue, ingestions)
        attachments = AttachmentService(
            backends.catalogue,
            collections,
            files,
            records,
            ingestions,
            following,
            stopping,
            backends.embedder,
            fence,
            activity,
        )
        parts = PartService(attachments, listing)
        over = expiring.Sweeper(backends.catalogue, collections)
        await stack.enter_async_context(
            in_background(keep(over.sweep, log=expiring.log, every_seconds=expiring.EVERY_SECONDS, pauses_first=True))
        )
        yield State(
            platform=platform,
            collections=collections,
            aliases=AliasService(backends.catalogue, collections, platform.cursors, auth, quotas.collections),
            records=records,
            searches=searches,
            listing=listing,
            embeddings=EmbeddingService(backends.embedder),
            engines=backends.engines,
            reranked_by=backends.reranker.model if backends.reranker else None,
            usage=usage,
            copies=CopyService(backends.catalogue, collections, backends.embedder, auth, usage),
            uploads=Shares("uploads", UPLOADS),
            files=files,
            file_uploads=Shares("uploads of files", FILE_UPLOADS),
            stores=StoreService(backends.catalogue, collections, attachments, following, stopping),
            attachments=attachments,
            attributes=AttributeService(backends.catalogue, collections, attachments, parts, records, fence),
            parts=parts,
            store_searches=StoreSearchService(backends.catalogue, collections, searches),
        )


def _quotas(settings: Settings) -> Quotas:
    return Quotas(settings.quota_collections, settings.quota_records, settings.quota_bytes)


async def _open_files(app: FastAPI, platform: Platform, stack: AsyncExitStack) -> FileService:
    """The files of all tenants. Soft: without them all else still serves."""
    settings: Settings = app.state.settings
    blobs = await _open_blobs(settings)
    stack.push_async_callback(blobs.aclose)
    app.state.health.add("files", blobs.check, hard=False, remedy=FILES_REMEDY)
    limits = FileLimits(
        settings.files_max_bytes,
        timedelta(seconds=settings.files_upload_seconds),
        settings.quota_files,
        settings.quota_file_bytes,
    )
    files = FileRepository(blobs)
    finisher = Finisher(files, platform.auth)
    sweeper = Sweeper(files, finisher, limits.life)
    await stack.enter_async_context(
        in_background(keep(sweeper.sweep, log=sweeping.log, every_seconds=sweeping.EVERY_SECONDS))
    )
    quota = FileQuota(files, limits)
    return FileService(files, finisher, quota, limits, platform.cursors, platform.auth, app.state.storage)


async def _open_blobs(settings: Settings) -> Blobs:
    """Raises CannotStart for an endpoint that is none, and for a folder that replicas would each have of their own."""
    if settings.files_url is not None:
        if settings.files_s3_endpoint:
            require_address("FILES_S3_ENDPOINT", settings.files_s3_endpoint, "http", "https")
        return S3Blobs(
            settings.files_url,
            settings.files_timeout_seconds,
            endpoint=settings.files_s3_endpoint,
            region=settings.files_s3_region,
            key_id=settings.files_s3_key_id,
            secret=settings.files_s3_secret.get_secret_value() if settings.files_s3_secret else None,
        )
    if settings.files_dir is None and settings.faiss_url is not None:
        raise CannotStart("FILES_DIR", "with FAISS_URL there may be replicas: it names the folder that they share")
    blobs = FolderBlobs(settings.files_dir or settings.data_dir / "files", settings.files_timeout_seconds)
    await blobs.open()
    return blobs


async def _open_node(app: FastAPI, platform: Platform, stack: AsyncExitStack) -> NodeConnection | None:
    """To the process that owns the data directory, where that is another. Raises CannotStart for what is no address."""
    settings: Settings = app.state.settings
    if settings.faiss_url is None:
        return None
    require_address("FAISS_URL", settings.faiss_url, "http", "https")
    assert platform.identity is not None  # noqa: S101 - only auth has none
    seconds = settings.engine_timeout_seconds
    http = await stack.enter_async_context(open_http_client(seconds, app.state.tls))
    places = StaticDiscovery({NODE: settings.faiss_url})
    services = ServiceClient(places, http, app.state.metrics, uses_tls=settings.uses_tls)
    node = NodeConnection(
        settings.faiss_url,
        http,
        services,
        platform.identity,
        seconds=seconds,
        whole_seconds=settings.request_timeout_seconds,
    )
    stack.push_async_callback(node.aclose)
    return node
