"""What the host of an address is."""

from ipaddress import ip_address


def is_address(host: str) -> bool:
    """Whether it is an IP address, without brackets, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
