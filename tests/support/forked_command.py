"""What the fork server of the launcher runs in its tests."""

import json
import os
import sys
import time
from pathlib import Path


def main(word: str, *rest: str) -> None:
    if word == "facts":
        preloaded = sys.modules.get("tests.integration.local.test_fork_server")
        facts = {
            "arguments": sys.argv[1:],
            "environment": {name: value for name, value in os.environ.items() if name != "LC_CTYPE"},
            "name": __name__,
            "preloaded": bool(preloaded and [os.getppid()] == preloaded.PRELOADED),
            "open": sorted(os.listdir("/proc/self/fd"))[:-1],
            "pid": os.getpid(),
            "group": os.getpgrp(),
            "command_line": Path("/proc/self/cmdline").read_text().rstrip("\0"),
        }
        sys.stdout.write(json.dumps(facts) + "\n")
    elif word == "exit":
        sys.stdout.write("bye")
        sys.exit(int(rest[0]))
    elif word == "fail":
        raise RuntimeError("a bug")
    elif word == "children":
        pids = [os.fork() for _ in range(2)]
        if all(pids):
            sys.stdout.write(json.dumps(pids) + "\n")
        time.sleep(600)
    else:
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
