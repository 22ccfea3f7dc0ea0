"""`python -m services.vectors` serves it."""

from services.vectors.main import create_app
from shared.platform import serve

serve(create_app)
