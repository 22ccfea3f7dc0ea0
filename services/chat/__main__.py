"""`python -m services.chat` serves it."""

from services.chat.main import create_app
from shared.serve import serve

serve(create_app)
