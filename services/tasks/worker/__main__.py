"""`python -m services.tasks.worker` runs a worker, with health and metrics over HTTP."""

from services.tasks.worker.main import create_app
from shared.platform import serve

serve(create_app)
