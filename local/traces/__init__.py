"""What `make up OBSERVE=1` starts beside the suite: a collector of traces that shows what it was sent.

For whoever develops, on their own machine; for more there are the containers' Jaeger and Grafana (docs/decisions/0055).
"""
