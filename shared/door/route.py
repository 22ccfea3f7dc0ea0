"""The route class of every route: asks who is there before anything of the request is read or checked."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from fastapi import Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute

from shared.door.body import BoundedRequest
from shared.door.bounds import bounds_of
from shared.door.demand import caller_of
from shared.door.handing import handed
from shared.door.places import take_place
from shared.door.query import KnownQuery
from shared.door.secrecy import NOT_KEPT, declaring, shows_secret
from shared.errors import PROBLEMS, Dialect, Forbidden
from shared.identity import TokenForged, act_for, act_no_more
from shared.resources import conditional
from shared.storage import Storage

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_NEVER_STORE = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_STORES_NOTHING = "sutazai_stores_nothing"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def stores_nothing(endpoint: Endpoint) -> Endpoint:
    """Below a route whose method says that it writes: it only reads, or takes away, and goes on when a disk is full."""
    setattr(endpoint, _STORES_NOTHING, True)
    return endpoint


class GuardedRoute(APIRoute):
    """The route class of every route: asks who is there before anything of the request is read or checked.

    So nobody without a credential has us parse megabytes, and no token is 401 whatever the body is. It hands the caller
    to the endpoint, and what the lifespan opened (`shared/door/handing.py`).

    Whoever is let in has a place among the requests of this process until there is an answer (`shared/door/places.py`).

    Then, where the disk is nearly full, it refuses what would be stored (507). Deletions are let in, since they make
    room, and so are `stores_nothing` and a POST whose scopes only read.

    Who is refused by then or later, for a forged token or what they may not do, is told to auth's log.

    Then the query, which names nothing unknown to the route, and only lists twice (422): `shared/door/query.py`.

    Last it reads the body, which keeps to the bounds of the route (`takes`) before anything is made of it (413).

    What it answers has a tag, and a read whose caller has it already is answered with 304. An answer with a secret in
    it (`SecretModel`) says that nobody may keep it.
    """

    request_class: ClassVar[type[BoundedRequest]] = BoundedRequest
    dialect: Dialect = PROBLEMS
    """How its errors are worded, whoever raises them."""
    knows_its_query: ClassVar[bool] = True
    """Whether a query that names what the route does not know is refused."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Raises TypeError for an endpoint that would block the event loop, or that demands more than one caller."""
        if not inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint!r} is no coroutine function")
        stores = not (set(options.get("methods") or ()) <= _NEVER_STORE or getattr(endpoint, _STORES_NOTHING, False))
        self.demand, endpoint = handed(self.seen(endpoint))
        self.stores = stores and not (self.demand and self.demand.only_reads)
        self.bounds = bounds_of(endpoint)
        self.shows_secret = shows_secret(options.get("response_model"))
        if self.shows_secret:
            options["responses"] = declaring(options.get("responses"), options.get("status_code"))
        if self.demand:
            options["openapi_extra"] = {"security": self.demand.alternatives, **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        handle = self.inside(super().get_route_handler())
        if self.shows_secret:
            handle = _kept_by_nobody(handle)
        if self.body_field:
            handle = self.around(_with_its_body(handle))
        demand, stores, bounded = self.demand, self.stores, self._bounded() if self.body_field else None
        known, is_tagged = KnownQuery(self.dependant) if self.knows_its_query else None, not self.shows_secret

        async def entered(request: Request) -> Response:  # in one, since each `await` on the way costs every request
            if bounded is not None:
                request = bounded(request)
            place = None
            try:
                if demand is not None:
                    await demand.admit(request)
                    place = take_place(request)
                if stores:
                    storage: Storage = request.scope["app"].state.storage
                    storage.require_room()
                if known is not None and request.scope["query_string"]:
                    known.require(request)
                working = act_for(caller_of(request) if demand else None)
                try:
                    response = await handle(request)
                finally:
                    act_no_more(working)
                return conditional(request, response) if is_tagged else response
            except (TokenForged, Forbidden) as refused:
                request.scope["state"]["platform"].note_refusal(request, refused)
                raise
            finally:
                if place is not None:
                    place.give_back()

        return entered

    def _bounded(self) -> Callable[[Request], BoundedRequest]:
        bounds, request_class = self.bounds, self.request_class
        is_form = isinstance(self.body_field and self.body_field.field_info, Form)
        return lambda request: request_class(request.scope, request.receive, bounds, is_form=is_form)

    def seen(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """The endpoint as a route class has FastAPI see it."""
        return endpoint

    def inside(self, handle: Handler) -> Handler:
        """What a route class adds for callers who were let in."""
        return handle

    def around(self, handle: Handler) -> Handler:
        """The same, from before the body is read."""
        return handle


def _kept_by_nobody(handle: Handler) -> Handler:
    async def told(request: Request) -> Response:
        response = await handle(request)
        response.headers.update(NOT_KEPT)
        return response

    return told


def _with_its_body(handle: Handler) -> Handler:
    async def read(request: Request) -> Response:
        assert isinstance(request, BoundedRequest)  # noqa: S101 - so `entered` made it
        await request.read()
        return await handle(request)

    return read
