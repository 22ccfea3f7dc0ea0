"""The edge: what kong.yml promises, proved on a real Envoy before real HTTP servers."""
