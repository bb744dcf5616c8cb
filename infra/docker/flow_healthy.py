#!/usr/bin/env python
"""Exits with 0 if the flow of this container has sent a heartbeat in the last seconds."""

import socket
import sys

from dataflows.clients import redis_client
from dataflows.keys import Keys
from dataflows.settings import load_settings


def main() -> int:
    """Look for a heartbeat of this host; each expires after 10 s."""
    settings = load_settings()
    pattern = Keys(settings.redis.prefix).worker(f"{socket.gethostname()}-*")
    with redis_client(settings.redis) as client:
        found = next(iter(client.scan_iter(match=pattern, count=1000)), None)
    return 0 if found is not None else 1


if __name__ == "__main__":
    sys.exit(main())
