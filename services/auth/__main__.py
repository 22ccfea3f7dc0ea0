"""`python -m services.auth` serves it."""

from services.auth.main import create_app
from shared.platform import serve

serve(create_app)
