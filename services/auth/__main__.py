"""`python -m services.auth` serves it."""

from services.auth.main import create_app
from shared.serve import serve

serve(create_app)
