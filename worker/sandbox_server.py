"""`python -m worker.sandbox_server`: the fork server of the analysis. Only a worker starts it."""

import gc
import socket
import sys
from typing import Any

from worker.jobs.analyze_audio import make_task
from worker.jobs.sandboxed_analysis import AnalysisRequest
from worker.sandbox.child import Task
from worker.sandbox.fork_server import ForkServer
from worker.warm_up import warm_up


def task_of(request: dict[str, Any]) -> Task:
    """Return the task of a request."""
    return make_task(AnalysisRequest(**request))


def main(arguments: list[str]) -> None:
    """Load everything that the analysis needs, then serve."""
    requests, lifeline, ready, parent_pid = map(int, arguments)
    warm_up()
    gc.collect()
    gc.freeze()
    server = ForkServer(socket.socket(fileno=requests), lifeline, make_task=task_of)
    server.serve(ready=ready, parent_pid=parent_pid)


if __name__ == "__main__":
    main(sys.argv[1:])
