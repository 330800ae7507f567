import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from api.http.limits.lingering_close import LingeringTransport


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        self.calls: list[bytes] = []
        """What each system call would send. `b""`: the end of our side."""

    def writelines(self, list_of_data: Any) -> None:
        self.calls.append(b"".join(list_of_data))

    def write(self, data: Any) -> None:
        self.calls.append(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.calls.append(b"")

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def calls_of(use: Callable[[LingeringTransport], Awaitable[None]]) -> list[bytes]:
    transport = Transport()

    async def run() -> None:
        await use(LingeringTransport(transport, loop=asyncio.get_running_loop()))

    asyncio.run(run())
    return transport.calls


def test_head_and_body_of_a_refusal_are_one_write_before_the_end() -> None:
    async def refuse(lingering: LingeringTransport) -> None:
        lingering.unread = True
        lingering.write(b"head")
        lingering.write(b"body")
        lingering.close()
        lingering.cancel_timers()

    assert calls_of(refuse) == [b"headbody", b""]


def test_a_head_alone_leaves_at_the_end_of_the_event_loops_turn() -> None:
    async def pause(lingering: LingeringTransport) -> None:
        lingering.write(b"head")
        await asyncio.sleep(0)
        lingering.write(b"body")
        await asyncio.sleep(0)

    assert calls_of(pause) == [b"head", b"body"]


def test_a_large_response_does_not_pile_up_before_the_transport_can_pause_it() -> None:
    body = bytes(LingeringTransport.max_unwritten_bytes)

    async def send(lingering: LingeringTransport) -> None:
        lingering.write(b"head")
        lingering.write(body)
        lingering.cancel_timers()

    assert calls_of(send) == [b"head" + body]


def test_nothing_is_written_to_a_lost_connection() -> None:
    async def lose(lingering: LingeringTransport) -> None:
        lingering.write(b"head")
        lingering.cancel_timers()
        await asyncio.sleep(0)

    assert calls_of(lose) == []
