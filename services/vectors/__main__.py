"""`python -m services.vectors` serves it."""

from services.vectors.main import create_app
from shared.serve import serve

serve(create_app)
