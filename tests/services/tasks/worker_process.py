"""A real worker process that knows the test kinds: started by tests that kill it."""

from services.tasks.worker.main import create_app
from shared.platform import serve
from tests.services.tasks.kinds import TEST_KINDS

serve(lambda: create_app(kinds=TEST_KINDS))
