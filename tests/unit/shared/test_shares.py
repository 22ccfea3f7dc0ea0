"""No user and no tenant holds so many places that a neighbour finds none."""

import pytest

from shared.limits import Place, Shares, ShareTaken


def taken(shares: Shares, tenant: str, user: str, times: int) -> list[Place]:
    places = [shares.take(tenant, user) for _ in range(times)]
    assert all(places)
    return [place for place in places if place]


def test_a_user_holds_at_most_a_quarter() -> None:
    shares = Shares("answers", 64)
    taken(shares, "t", "u", 16)

    with pytest.raises(ShareTaken, match="One user may have 16 answers"):
        shares.take("t", "u")

    assert shares.take("t", "colleague")


def test_a_tenant_holds_at_most_half() -> None:
    shares = Shares("answers", 64)
    for user in ("a", "b"):
        taken(shares, "t", user, 16)

    with pytest.raises(ShareTaken, match="One tenant may have 32 answers"):
        shares.take("t", "c")


def test_the_last_places_are_for_tenants_that_hold_none() -> None:
    shares = Shares("answers", 64)
    for tenant in ("t1", "t2"):
        for user in ("a", "b", "c"):
            taken(shares, tenant, user, 28 // 3)

    taken(shares, "t1", "d", 1)
    taken(shares, "t2", "d", 1)

    assert (shares.free, shares.take("t1", "e"), shares.take("t2", "e")) == (8, None, None)
    assert shares.take("t3", "a")


def test_when_all_are_taken_there_is_none_for_anybody() -> None:
    shares = Shares("answers", 2)
    taken(shares, "t1", "u", 1)
    taken(shares, "t2", "u", 1)

    assert shares.take("t3", "u") is None


def test_a_place_is_given_back_once() -> None:
    shares = Shares("answers", 1)
    [place] = taken(shares, "t", "u", 1)

    place.give_back()
    place.give_back()

    assert shares.free == 1
    assert shares.take("t", "u")
