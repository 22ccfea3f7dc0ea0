"""The last lines of `make up`: where the suite is, who may enter, and a first request."""

from local.components.traces import Traces, page
from local.secrets import ADMIN_EMAIL
from local.site import Site


def text(site: Site) -> str:
    """What a newcomer needs next. It shows the admin password: it was made for this person, on this machine."""
    address = f"http://localhost:{site.ports['gateway']}"
    kong = site.setting("KONG_ADMIN_URL")
    gateway = f"\n  gateway     your Kong at {kong}: make gateway-sync" if kong else ""
    traces = f"\n  traces      {page(site)}" if Traces().is_wanted(site) else ""
    return f"""
SutazAI is up.
  address     {address}/api/v1{gateway}
  docs        {address}/docs{traces}
  admin       {ADMIN_EMAIL}  {site.secrets.admin_password}

Try it:
  curl -s {address}/api/v1/health/check
  curl -s {address}/api/v1/auth/register -H 'content-type: application/json' \\
       -d '{{"email": "you@example.com", "password": "choose-a-long-one"}}'

make status · make logs COMPONENTS=chat · make down"""
