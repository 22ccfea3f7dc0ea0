"""Passwords that everybody tries first: the 30,000 most frequent of leaked lists, which come with `zxcvbn`."""

import sys
from functools import cache

_SHORTEST = 8  # shorter ones are refused by their length


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    found = frozenset(password for password in FREQUENCY_LISTS["passwords"] if len(password) >= _SHORTEST)
    for name in [name for name in sys.modules if name.partition(".")[0] == "zxcvbn"]:
        del sys.modules[name]  # its other word lists take 8 MB and serve nothing here
    return found


def is_common(password: str) -> bool:
    """Whether it is on the list, whatever its letter case."""
    return password.lower() in _common()
