import os
import threading

import httpx


async def test_hashing_gives_way_to_the_event_loop(client: httpx.AsyncClient) -> None:
    form = {"grant_type": "password", "username": "nobody@example.com", "password": "no account has this password"}
    await client.post("/api/v1/auth/token", data=form)

    hashing = [thread.native_id for thread in threading.enumerate() if thread.name.startswith("argon2")]

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert hashing
    assert all(os.getpriority(os.PRIO_PROCESS, id) > own for id in hashing if id)
