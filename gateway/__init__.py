"""The edge: one declarative file of routes, the runner that serves it where Kong is not installed, and the portal."""
