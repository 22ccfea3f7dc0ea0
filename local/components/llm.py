"""The local language model behind an OpenAI-compatible address."""

from pathlib import Path
from typing import Final

from local import probes
from local.addresses import url
from local.components.base import Component, Launch
from local.layout import code, python
from local.site import Site

MODEL: Final = "smollm2-135m-instruct"


class LanguageModel(Component):
    """Serves SmolLM2; another model is used by naming its address."""

    name = "llm"
    ports = ("llm",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def launch(self, site: Site) -> Launch:
        command = (python(), "-m", "local.model_server", "--port", str(site.ports["llm"]), "--alias", MODEL)
        return Launch(command, site.process_environment() | {"LLM_API_KEY": site.secrets.llm_api_key})

    def probe(self, site: Site) -> None:
        # A provider that wants a key answers 401 without one, which is as good a sign of life.
        probes.get(f"{url(site, 'llm').rstrip('/')}/models", expected=(200, 401, 403))
