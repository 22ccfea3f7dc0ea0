"""`python -m services.agents` serves it."""

from services.agents.main import create_app
from shared.platform import serve

serve(create_app)
