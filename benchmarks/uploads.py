"""Uploads: memory, throughput, stalled clients, kills. `python -m benchmarks.uploads [NAME…]`.

One API process (`python -m api serve`) before a real S3 server (SeaweedFS) and a real Valkey, all on this
machine. Memory is the API process's peak resident size (VmHWM, reset before each run) over its idle size.
Caveats: client, API, S3 server and its disk share the same cores, so the ratios count, not the speeds; the
throughput ratio compares with boto3's `upload_file` (ten threads, 8 MiB parts) of the same file in the same
run, the best of four each.
"""

import http.client
import json
import os
import random
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import boto3
from botocore.config import Config

from tests.support.api_process import Api, running_api
from tests.support.servers import S3Server, running_s3, running_valkey

MIB = 1024 * 1024
HEAD = b"fLaC" + random.Random(0).randbytes(MIB - 4)
BUDGET = 64 * MIB


def memory(pid: int, field: str) -> int:
    """VmRSS or VmHWM of a process, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


@contextmanager
def peak_over_idle(api: Api) -> Iterator[list[int]]:
    """What the block adds to the API's memory at most; filled at its end."""
    found: list[int] = []
    Path(f"/proc/{api.server.pid}/clear_refs").write_text("5")
    idle = memory(api.server.pid, "VmRSS")
    yield found
    found.append(memory(api.server.pid, "VmHWM") - idle)


def send(api: Api, size: int, *, until: int | None = None, stop: threading.Event | None = None) -> int:
    """Upload so many bytes; the status, 0 for none. `until`: hang up there; `stop`: stall there instead."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=600) as connection:
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: audio/flac\r\nContent-Length: {size}\r\n\r\n"
        )
        connection.sendall(head.encode())
        end = size if until is None else until
        for at in range(0, end, MIB):
            connection.sendall(memoryview(HEAD)[: min(MIB, end - at)])
        if stop is not None:
            stop.wait()
            return 0
        if until is not None:
            return 0
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        body = json.loads(answer.read())
        assert answer.status != 202 or body["input"]["bytes"] == size
        return answer.status


def load() -> str:
    """Of the machine, also by others."""
    return f"load {os.getloadavg()[0]:.1f}"


def quietly(work: Callable[[], int]) -> int:
    try:
        return work()
    except (OSError, http.client.HTTPException, ValueError) as error:
        if os.environ.get("VERBOSE"):
            print(repr(error))
        return 0


def at_once(works: list[Callable[[], int]]) -> list[int]:
    """The statuses, in the order of their ends."""
    ended: list[int] = []
    threads = [threading.Thread(target=lambda work=work: ended.append(quietly(work))) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def one_large(api: Api) -> None:
    send(api, MIB)  # what the first upload loads for good is no matter of size
    with peak_over_idle(api) as rise:
        began = time.perf_counter()
        status = send(api, 2048 * MIB)
        seconds = time.perf_counter() - began
    print(f"one upload of 2 GiB: {status}, {seconds:.1f} s, memory +{rise[0] / MIB:.1f} MiB (limit +32)")
    assert status == 202


def many_at_once(api: Api) -> None:
    with peak_over_idle(api) as rise:
        began = time.perf_counter()
        statuses = at_once([lambda: send(api, 100 * MIB)] * 64)
        seconds = time.perf_counter() - began
    told = {status: statuses.count(status) for status in set(statuses)}
    limit = (BUDGET + 64 * MIB) / MIB
    print(f"64 uploads of 100 MiB at once: {told}, {seconds:.1f} s, memory +{rise[0] / MIB:.1f} MiB", end=" ")
    print(f"(limit +{limit:.0f}: a budget of {BUDGET / MIB:.0f} and 64)")
    if not set(told) <= {202, 503}:
        raise AssertionError("\n".join(api.server.lines[-40:]))


def stalled(api: Api) -> None:
    stop = threading.Event()
    chance = random.Random(1)
    stallers = [
        threading.Thread(
            target=quietly,
            args=[lambda: send(api, 100 * MIB, until=chance.randrange(20) * MIB, stop=stop)],
            daemon=True,
        )
        for _ in range(200)
    ]
    for thread in stallers:
        thread.start()
    time.sleep(3)
    with peak_over_idle(api) as rise:
        began = time.perf_counter()
        statuses = at_once([lambda: send(api, 20 * MIB)] * 20)
        seconds = time.perf_counter() - began
    stop.set()
    good = statuses.count(202)
    print(f"20 honest clients next to 200 that stall: {good} of 20 succeeded, {seconds:.1f} s,", end=" ")
    print(f"memory +{rise[0] / MIB:.1f} MiB")
    assert good == 20


def throughput(api: Api, s3: S3Server) -> None:
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(1024):
            file.write(HEAD)
        file.flush()
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        client = boto3.Session(
            aws_access_key_id=s3.access_key, aws_secret_access_key=s3.secret_key, region_name=s3.region
        ).client("s3", endpoint_url=s3.endpoint_url, config=config)
        client.create_bucket(Bucket="throughput")
        times: dict[str, list[float]] = {"boto3": [], "api": []}
        for _ in range(4):
            for name in times:
                began = time.perf_counter()
                if name == "boto3":
                    client.upload_file(file.name, "throughput", "x")
                else:
                    assert send(api, 1024 * MIB) == 202
                times[name].append(time.perf_counter() - began)
        client.close()
    boto, ours = min(times["boto3"]), min(times["api"])
    print(f"1 GiB: boto3 upload_file {boto:.2f} s, through the API {ours:.2f} s:", end=" ")
    print(f"{boto / ours:.2f} of its throughput (at least 0.8 wanted)")


def killed(api: Api, *, clients: int = 100, times: int = 20) -> None:
    chance = random.Random(2)
    said_yes = at_once(
        [lambda: send(api, 12 * MIB, until=chance.randrange(12 * MIB)) for _ in range(clients)]
        + [lambda: send(api, 12 * MIB) for _ in range(10)]
    ).count(202)
    for _ in range(times):
        works = [lambda: send(api, chance.randrange(1, 12) * MIB) for _ in range(5)]
        killer = threading.Timer(chance.uniform(0.05, 2.0), api.server.kill)
        killer.start()
        said_yes += at_once(works).count(202)
        killer.join()
        api.server.start()
    time.sleep(35)  # as long as an upload without a heartbeat counts as alive
    left, accepted = api.rescued(), api.accepted()
    print(
        f"{clients} clients and {times} times the API killed: {said_yes} accepted, {len(accepted)} recorded;",
        f"storage holds exactly their audio: {left == {(job_id, False) for job_id in accepted}}",
    )
    assert left == {(job_id, False) for job_id in accepted}
    assert len(accepted) >= said_yes


def held_open(api: Api, *, clients: int = 1500, size: int = 33_000) -> None:
    """Memory while many small uploads are open at once, and after they have ended."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    idle = memory(api.server.pid, "VmRSS")
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: audio/flac\r\nContent-Length: {size + 1}\r\n\r\n"
    )
    found = []
    for _ in range(2):
        with ExitStack() as stack:
            for _ in range(clients):
                connection = stack.enter_context(
                    socket.create_connection(("127.0.0.1", api.port), timeout=60)
                )
                with suppress(OSError):  # refused, with everything read
                    connection.sendall(head.encode() + HEAD[:size])
            time.sleep(3)
            found.append(memory(api.server.pid, "VmRSS") - idle)
        time.sleep(15)
        found.append(memory(api.server.pid, "VmRSS") - idle)
    sizes = ", ".join(f"{one / MIB:+.0f}" for one in found)
    print(f"{clients} open uploads of {size:,} bytes, twice: {sizes} MiB (open, ended, open, ended)")


def main(names: list[str]) -> None:
    with ExitStack() as stack:
        valkey = stack.enter_context(running_valkey())
        s3 = stack.enter_context(running_s3())
        settings = {
            "KAMMERTON_UPLOAD_BUFFER_BYTES": str(BUDGET),
            "KAMMERTON_S3_PART_BYTES": str(8 * MIB),
            "KAMMERTON_UPLOAD_IDLE_TIMEOUT_SECONDS": "30",
            "KAMMERTON_UPLOAD_WAIT_SECONDS": "30",
            "KAMMERTON_LOG_LEVEL": "WARNING",
        }
        api = stack.enter_context(running_api(valkey, s3, **settings))
        runs: dict[str, Callable[[], None]] = {
            "one_large": lambda: one_large(api),
            "many_at_once": lambda: many_at_once(api),
            "stalled": lambda: stalled(api),
            "throughput": lambda: throughput(api, s3),
            "killed": lambda: killed(api),
            "held_open": lambda: held_open(api),
        }
        if unknown := set(names) - set(runs):
            sys.exit(f"No such measurement: {', '.join(sorted(unknown))}. There are {', '.join(runs)}.")
        print(f"{os.cpu_count()} cores, {load()}")
        for name in names or list(runs):
            runs[name]()
            print(f"  ({load()})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
