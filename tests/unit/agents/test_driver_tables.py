"""Without its tables the driver gives the same answers."""

import subprocess
import sys

PROGRAM = """
from neo4j import time
from neo4j._codec.packstream import v1
leap, years, months = dict(time._IS_LEAP_YEAR), dict(time._DAYS_IN_YEAR), dict(time._DAYS_IN_MONTH)
packed, unpacked = list(v1.PACKED_UINT_16), dict(v1.UNPACKED_UINT_16)
from services.agents.driver_tables import drop_driver_tables
drop_driver_tables()
assert len(time._DAYS_IN_MONTH) == len(v1.PACKED_UINT_16) == 0
assert all(time._IS_LEAP_YEAR[year] == expected for year, expected in leap.items())
assert all(time._DAYS_IN_YEAR[year] == expected for year, expected in years.items())
assert all(time._DAYS_IN_MONTH[key] == expected for key, expected in months.items())
assert all(v1.PACKED_UINT_16[value] == expected for value, expected in enumerate(packed))
assert all(v1.UNPACKED_UINT_16[value] == expected for value, expected in unpacked.items())
assert time.Date(2024, 2, 29).to_native().isoformat() == "2024-02-29"
"""


def test_every_entry_is_what_it_was() -> None:
    """In a process of its own: the driver of this one keeps its tables."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
