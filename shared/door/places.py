"""A place among the requests of this process, for whoever was let in: no caller holds all of them."""

from fastapi import Request

from shared.door.demand import caller_of
from shared.identity import SERVICE_PREFIX
from shared.limits import Place, Shares, crowded


def take_place(request: Request) -> Place | None:
    """To be given back once there is an answer; a stream has a share of its own from then on.

    None for a service that asks as itself, which does for everybody. Raises ShareTaken, and Unavailable where what is
    left is for others.
    """
    caller = caller_of(request)
    if caller.subject.startswith(SERVICE_PREFIX):
        return None
    requests: Shares = request.scope["state"]["platform"].requests
    place = requests.take(caller.tenant_id, caller.subject)
    if place is None:
        raise crowded()
    return place
