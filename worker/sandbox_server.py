"""`python -m worker.sandbox_server`: the fork server of the analysis. Only a worker starts it."""

import gc
import socket
import sys
from typing import Any

from worker.sandbox.child import Task
from worker.sandbox.fork_server import ForkServer
from worker.sandbox.limits import die_with_parent


def main(arguments: list[str]) -> None:
    """Load everything that the analysis needs, then serve."""
    requests, lifeline, ready, parent_pid = map(int, arguments)
    die_with_parent(parent_pid)
    # Imported late, because loading takes seconds and the worker may end meanwhile.
    from worker.decoding.light_librosa import import_librosa

    import_librosa()
    from worker.jobs.analyze_audio import make_task
    from worker.jobs.sandboxed_analysis import AnalysisRequest
    from worker.warm_up import warm_up

    def task_of(request: dict[str, Any]) -> Task:
        return make_task(AnalysisRequest(**request))

    warm_up()
    gc.collect()
    gc.freeze()
    server = ForkServer(socket.socket(fileno=requests), lifeline, make_task=task_of)
    server.serve(ready=ready, parent_pid=parent_pid)


if __name__ == "__main__":
    main(sys.argv[1:])
