"""`python -m tests.security.built services.auth`: makes that service's app from its environment, and no more."""

import importlib
import sys

importlib.import_module(f"{sys.argv[1]}.main").create_app()
