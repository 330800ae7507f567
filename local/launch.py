"""From nothing to ready, and back: servers, then our commands, then a watch until someone wants to stop."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from local.address import check_free, is_ready, reachable, url
from local.lifeline import Lifeline
from local.lock import lock
from local.ports import Ports
from local.processes import CannotStart, Command, log_to_stderr
from local.s3 import REGION, S3
from local.supervisor import StopButton, StopRequested, Supervisor
from local.valkey import Valkey

BUCKET = "kammerton"
SERVER_SECONDS = 60.0
READY_SECONDS = 240.0  # numba compiles on a first start, on a slow machine for a minute or more


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    host: str
    port: int
    data_dir: Path
    workers: int


OWN_MACHINE = {
    "KAMMERTON_ALLOW_ANONYMOUS": "true",
    "KAMMERTON_RATE_LIMITS_ENABLED": "false",
    "KAMMERTON_METRICS_PUBLIC": "true",
}
"""Settings that only make sense where everybody who comes is you. The environment may say otherwise."""

Commands = Callable[[Options], list[Command]]


def run(options: Options, *, commands: Commands, environ: Mapping[str, str]) -> int:
    """All of it. Returns the exit status."""
    stop = StopButton()
    stop.listen()
    try:
        with ExitStack() as stack:  # undone from the last line to the first
            held = lock(options.data_dir)
            stack.callback(held.close)
            if options.port == 0:
                free = Ports(1)
                stack.callback(free.release)
                options = replace(options, port=free.numbers[0])
            check_free(options.host, options.port)
            env = {**OWN_MACHINE, **environ, "PYTHONUNBUFFERED": "1"}
            servers = _servers(options.data_dir, env)
            for server in servers:
                stack.callback(server.close)
            lifeline = Lifeline(keep_open=(held.fileno(),))
            stack.callback(lifeline.close)
            for server in servers:
                for socket in server.sockets():
                    lifeline.remove_afterwards(socket)
            supervisor = Supervisor(lifeline=lifeline, stop=stop, log=log_to_stderr)
            stack.callback(supervisor.stop)
            _start(options, commands(options), servers=servers, supervisor=supervisor, env=env)
            sys.stdout.write(f"ready {url(options.host, options.port)}\n")
            sys.stdout.flush()
            supervisor.watch()
            log_to_stderr("local", "stopping in order; Ctrl-C again stops at once")
    except StopRequested:
        log_to_stderr("local", "stopped before it was ready")
    except CannotStart as reason:
        log_to_stderr("local", str(reason))
        return 1
    return 0


def _servers(data_dir: Path, env: dict[str, str]) -> list[Valkey | S3]:
    """Those that `env` does not name already; afterwards it names both."""
    servers: list[Valkey | S3] = []
    if not env.get("KAMMERTON_REDIS_URL"):
        valkey = Valkey(data_dir / "valkey")
        env["KAMMERTON_REDIS_URL"] = valkey.url
        servers.append(valkey)
    if not env.get("KAMMERTON_S3_ENDPOINT_URL"):
        s3 = S3(data_dir / "s3", bucket=BUCKET)
        for stranger in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            env.pop(stranger, None)  # goes with other keys than ours
        env |= {
            "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
            "KAMMERTON_S3_BUCKET": BUCKET,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "AWS_REGION": REGION,
        }
        servers.append(s3)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy of the house can't reach this machine's loopback
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1", "localhost"]))
    return servers


def _start(
    options: Options,
    commands: list[Command],
    *,
    servers: list[Valkey | S3],
    supervisor: Supervisor,
    env: Mapping[str, str],
) -> None:
    """All servers, then all commands; back when a job could be accepted and run."""
    for server in servers:
        supervisor.start(server.command, env=env)
    for server in servers:
        supervisor.wait_until(server.answers, what=server.command.name, seconds=SERVER_SECONDS)
    for command in commands:
        supervisor.start(command, env=env)
    address = url(reachable(options.host), options.port)
    supervisor.wait_until(
        lambda: is_ready(f"{address}/readyz"), what=f"{address}/readyz", seconds=READY_SECONDS
    )
    log_to_stderr("local", f"try: curl -F file=@song.mp3 {address}/v1/jobs")
