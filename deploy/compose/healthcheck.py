"""Ends with 0 when the address answers 2xx within two seconds: `healthcheck URL`, by TLS where the container serves it.

The answer is its own, on loopback, so nobody's certificate is asked for.
"""

import http.client
import os
import ssl
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=2)
if os.environ.get("TLS_CERTIFICATE_FILE"):
    unverified = ssl._create_unverified_context()  # noqa: S323 - see above
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=2, context=unverified)
try:
    connection.request("GET", url.path)
    status = connection.getresponse().status
except (OSError, http.client.HTTPException):
    sys.exit(1)
sys.exit(0 if 200 <= status < 300 else 1)
