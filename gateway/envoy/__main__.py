"""`python -m gateway.envoy`: the gateway of `make up`. Ends with 0 when told to, with another code otherwise."""

from gateway.envoy import early


def main() -> None:
    """Where nothing has changed since the last start, Envoy serves before the rest of the gateway is even imported."""
    envoy = early.start()

    from gateway.envoy import runner

    runner.main(envoy)


if __name__ == "__main__":
    main()
