"""Brings the Kong file into a Kong of the operator's own, over its Admin API (`make gateway-sync`)."""
