"""The servers of our side: a service of ours with three routes, bare FastAPI, and bytes copied."""
