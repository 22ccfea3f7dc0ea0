"""`python -m gateway.portal` serves it."""

from gateway.portal.main import create_app
from shared.platform import serve

serve(create_app)
