"""Socket options that notice a half-open connection within 15 seconds."""

import socket

KEEPALIVE_OPTIONS: dict[int, int] = {
    option: value
    for name, value in (
        ("TCP_KEEPIDLE", 5),  # seconds of silence before the first probe
        ("TCP_KEEPINTVL", 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 15_000),  # milliseconds that sent data may stay unacknowledged
    )
    if (option := getattr(socket, name, None)) is not None  # not every system has all of them
}
