"""The cost of a password as an installation has it: the suite of the tests hashes sparingly."""

from typing import Final

from services.auth.settings import Settings

AS_SHIPPED: Final = {
    name: Settings.model_fields[name].default for name in ("password_memory_kib", "password_iterations")
}
