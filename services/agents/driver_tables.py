"""Has the driver compute what it would keep in tables: the length of every month of 10,000 years, every 16-bit number.

The tables are 25 MB, a fifth of the process, and almost nothing of them is ever looked up. Tables that a version of the
driver does not have are left alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

from neo4j import time
from neo4j._codec.packstream import v1, v2


class _Computed(dict[Any, Any]):
    """Looks like the table; an entry is computed when it is first asked for."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self._compute(key)
        return value


_years: Any = time  # whose functions have no types
_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    "PACKED_UINT_16": lambda value: value.to_bytes(2, "big"),
    "UNPACKED_UINT_16": lambda packed: int.from_bytes(packed, "big"),
}
_TABLES: Mapping[Any, Mapping[str, Callable[[Any], Any]]] = {
    time: {
        "_IS_LEAP_YEAR": _years._is_leap_year,
        "_DAYS_IN_YEAR": _years._days_in_year,
        "_DAYS_IN_MONTH": lambda year_and_month: _years._days_in_month(*year_and_month),
    },
    v1: _NUMBERS,
    v2: _NUMBERS,
}


def drop_driver_tables() -> None:
    """Replace them; the answers stay the same."""
    for module, tables in _TABLES.items():
        for name, compute in tables.items():
            if hasattr(module, name):
                setattr(module, name, _Computed(compute))
