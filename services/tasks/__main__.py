"""`python -m services.tasks` serves the API; `python -m services.tasks.worker` does the work."""

from services.tasks.main import create_app
from shared.platform import serve

serve(create_app)
