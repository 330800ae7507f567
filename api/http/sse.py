"""Server-Sent Events: response headers, heartbeats and the framing of one event (by FastAPI)."""

from fastapi.sse import EventSourceResponse, format_sse_event

EVENT_STREAM = EventSourceResponse.media_type
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx must not buffer
RETRY = format_sse_event(retry=2000)
"""Tells a client to reconnect two seconds after it lost the connection."""
HEARTBEAT = format_sse_event(comment="still here")
STORE_UNAVAILABLE = format_sse_event(comment="the job store is unavailable")


def sse_event(name: str, data: str, *, id: str | None = None) -> bytes:
    """One event on the wire."""
    return format_sse_event(event=name, data_str=data, id=id)
