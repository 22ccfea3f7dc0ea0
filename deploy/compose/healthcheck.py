"""Ends with 0 when the address answers 2xx within two seconds: `healthcheck URL`."""

import http.client
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=2)
try:
    connection.request("GET", url.path)
    status = connection.getresponse().status
except (OSError, http.client.HTTPException):
    sys.exit(1)
sys.exit(0 if 200 <= status < 300 else 1)
