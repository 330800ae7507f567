"""Starts the servers, then our commands, restarts what ends, and stops everything in reverse order."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from local.address import check_free, reachable, url, what_is_missing
from local.connection import write_connection
from local.dashboard_password import FILE as PASSWORD_FILE
from local.dashboard_password import dashboard_password
from local.fork_server.client import ForkServerClient
from local.lifeline import Lifeline
from local.lock import lock
from local.log_files import LogFiles
from local.messages import (
    STARTING_COMMANDS,
    STARTING_SERVERS,
    STOPPING,
    say,
    welcome,
)
from local.ports import Ports
from local.processes import CannotStart, Command, log_to_stderr
from local.s3 import REGION, S3
from local.supervisor import StopRequested, StopSignals, Supervisor
from local.valkey import Valkey

BUCKET = "kammerton"
PRELOAD = "shared.preload"
"""What our commands share."""
SERVER_TIMEOUT_SECONDS = 60.0
READY_TIMEOUT_SECONDS = 240.0


@dataclass(frozen=True)
class Options:
    """The command-line options."""

    host: str
    port: int
    data_dir: Path
    workers: int
    verbose: bool = False
    """Whether the logs of all processes appear on the terminal."""
    upload_grace_seconds: float = 4
    """How long the API may finish uploads when it is stopped."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Defaults for the environment of every process."""


LOCAL_DEFAULTS = {
    "KAMMERTON_ALLOW_ANONYMOUS": "true",
    "KAMMERTON_RATE_LIMITS_ENABLED": "false",
    "KAMMERTON_METRICS_PUBLIC": "true",
}
"""Settings that suit a machine with one user. The environment overrides them."""

API_ONLY = {
    f"KAMMERTON_{name}{suffix}"
    for name in ("ADMIN_PASSWORD", "OPERATORS", "VIEWER_PASSWORD")
    for suffix in ("", "_FILE")
}
"""Variables that only the API gets: a worker decodes untrusted files."""

Commands = Callable[[Options], list[Command]]


def run(options: Options, *, commands: Commands, environ: Mapping[str, str]) -> int:
    """Run until a signal. Returns the exit status."""
    stop = StopSignals()
    stop.install()
    try:
        with ExitStack() as stack:  # undone in reverse order
            _run(options, commands=commands, environ=environ, stop=stop, stack=stack)
    except StopRequested:
        log_to_stderr("local", "stopped before it was ready")
    except CannotStart as reason:
        log_to_stderr("local", str(reason))
        return 1
    return 0


def _run(
    options: Options, *, commands: Commands, environ: Mapping[str, str], stop: StopSignals, stack: ExitStack
) -> None:
    lock_file = lock(options.data_dir)
    stack.callback(lock_file.close)
    if options.port == 0:
        free = Ports(1)
        stack.callback(free.release)
        options = replace(options, port=free.numbers[0])
    check_free(options.host, options.port)
    env = {**LOCAL_DEFAULTS, **options.settings, **environ, "PYTHONUNBUFFERED": "1"}
    password = _dashboard_password(options.data_dir, env)
    servers = _servers(options.data_dir, env)
    for server in servers:
        stack.callback(server.close)
    lifeline = Lifeline(keep_open=(lock_file.fileno(),))
    stack.callback(lifeline.close)
    for server in servers:
        for socket in server.sockets():
            lifeline.remove_at_exit(socket)
    log = LogFiles(options.data_dir / "logs", verbose=options.verbose)
    stack.callback(log.close)
    fork_server = None
    if sys.platform == "linux":  # elsewhere, libraries of the system don't work in forks
        fork_server = ForkServerClient(PRELOAD, lifeline=lifeline, log=log)
        stack.callback(fork_server.close)
    supervisor = Supervisor(lifeline=lifeline, stop=stop, log=log, fork_server=fork_server)
    stack.callback(supervisor.stop)
    _start(options, commands(options), servers=servers, supervisor=supervisor, env=env)
    stack.callback(write_connection(options.data_dir, env).unlink, missing_ok=True)
    sys.stdout.write(f"ready {url(options.host, options.port)}\n")
    sys.stdout.flush()
    address = url(reachable(options.host), options.port)
    say(welcome(address, data_dir=options.data_dir, logs=log.folder, password=password))
    supervisor.watch()
    say(STOPPING)


def _dashboard_password(data_dir: Path, env: dict[str, str]) -> str:
    """Set the password of the dashboard if the environment doesn't. Returns what to show of it."""
    for variable in ("KAMMERTON_OPERATORS", "KAMMERTON_ADMIN_PASSWORD"):
        for name in (variable, f"{variable}_FILE"):
            if env.get(name):
                return name
    env["KAMMERTON_ADMIN_PASSWORD"] = dashboard_password(data_dir)
    shown = sys.stderr.isatty()  # not in a log file
    return env["KAMMERTON_ADMIN_PASSWORD"] if shown else f"in {(data_dir / PASSWORD_FILE).resolve()}"


def _servers(data_dir: Path, env: dict[str, str]) -> list[Valkey | S3]:
    """The servers whose addresses *env* does not set. Sets them in *env*."""
    servers: list[Valkey | S3] = []
    if not (env.get("KAMMERTON_REDIS_URL") or env.get("KAMMERTON_REDIS_URL_FILE")):
        valkey = Valkey(data_dir / "valkey")
        env["KAMMERTON_REDIS_URL"] = valkey.url
        servers.append(valkey)
    if not env.get("KAMMERTON_S3_ENDPOINT_URL"):
        s3 = S3(data_dir / "s3", bucket=BUCKET)
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            env.pop(name, None)  # belongs to other keys
        env |= {
            "KAMMERTON_S3_ENDPOINT_URL": s3.endpoint_url,
            "KAMMERTON_S3_BUCKET": BUCKET,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "AWS_REGION": REGION,
        }
        servers.append(s3)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy cannot reach this machine's loopback
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
    """Start all servers, then all commands. Returns when a job can be accepted and run."""
    if servers:
        say(STARTING_SERVERS)
    for server in servers:
        supervisor.start(server.command, env=env)
    for server in servers:
        supervisor.wait_until(
            server.is_ready, name=server.command.name, timeout_seconds=SERVER_TIMEOUT_SECONDS
        )
    say(STARTING_COMMANDS)
    without_passwords = {name: value for name, value in env.items() if name not in API_ONLY}
    for command in commands:
        supervisor.start(command, env=env if command.name == "api" else without_passwords)
    address = url(reachable(options.host), options.port)
    supervisor.wait_until(
        lambda: not what_is_missing(f"{address}/readyz"),
        name="the API and a worker",
        timeout_seconds=READY_TIMEOUT_SECONDS,
        explain=lambda: what_is_missing(f"{address}/readyz"),
    )
