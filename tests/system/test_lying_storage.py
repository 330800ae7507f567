"""Our own storage sends other bytes than were uploaded, with the right status, length and ETag."""

import re
import socket
from pathlib import Path

from tests.support.audio_files import audio_file
from tests.support.s3_proxy import s3_relay
from tests.support.servers import S3Server
from tests.support.system import running_system

BUCKET = "lying"
LIES = 2


def receive_response(server: socket.socket) -> tuple[bytes, bytearray]:
    """The head and the body of one response."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += server.recv(65536)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert length is not None
    rest = bytearray(body)
    while len(rest) < int(length[1]):
        rest += server.recv(65536)
    return head, rest


def test_a_song_that_storage_changes_gets_no_report_until_it_is_right(tmp_path: Path, s3: S3Server) -> None:
    left = LIES
    song = f"GET /{BUCKET}/audio/".encode()  # with a dot: the mark of the installation

    def change_last_byte(asked: bytes, client: socket.socket, server: socket.socket) -> bool:
        nonlocal left
        if not left or not asked.startswith(song) or asked.startswith(song + b"."):
            return False
        left -= 1
        server.sendall(asked)
        head, body = receive_response(server)
        body[-1] ^= 1
        client.sendall(head + b"\r\n\r\n" + body)
        return True

    with s3_relay(s3, change_last_byte) as url:
        settings = {
            "KAMMERTON_S3_ENDPOINT_URL": url,
            "KAMMERTON_S3_BUCKET": BUCKET,
            "KAMMERTON_JOB_RETRY_DELAY_SECONDS": "0.5",
            "KAMMERTON_JOB_ATTEMPTS": "1",
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "AWS_REGION": s3.region,
        }
        with running_system(tmp_path / "data", **settings) as system:
            job = system.finished(system.submit(audio_file("wav", seconds=4.0)))
    reasons = [line["why"] for line in job["timeline"] if line["state"] == "queued" and line["why"]]
    assert reasons == ["The audio storage sent other bytes than were uploaded."] * LIES
    assert (job["state"], left) == ("succeeded", 0)
