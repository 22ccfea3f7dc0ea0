"""`python -m services.chat` serves it."""

from services.chat.main import create_app
from shared.platform import serve

serve(create_app)
