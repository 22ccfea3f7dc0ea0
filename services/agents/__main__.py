"""`python -m services.agents` serves it."""

import sys

# The driver imports numpy where another service's extra has brought it, for a vector type that is of no use here.
sys.modules["numpy"] = None  # type: ignore[assignment] # "not there", to the import system; saves 11 MB

from services.agents.driver_tables import drop_driver_tables  # noqa: E402 - after the line above
from services.agents.main import create_app  # noqa: E402
from shared.platform import serve  # noqa: E402

drop_driver_tables()
serve(create_app)
