"""`python -m worker run`: the Celery app, its task, and the options that its worker runs with."""

import argparse
import gc
import os
from dataclasses import asdict
from functools import partial
from typing import Any

from shared.celery_queue import ANALYZE, INTERACTIVE, QUEUES, REQUEST_ID
from shared.observability.logs import log_context
from shared.observability.metrics import FETCHED, increment
from shared.services import bootstrap
from worker.health.byte_progress import ByteProgress
from worker.health.cgroups import SLOT_BYTES, available_cpus, choose_concurrency, memory_limit_bytes
from worker.health.drain import Drain
from worker.health.heartbeat import HealthReporting, diagnose, install_heartbeat, worker_name
from worker.health_files import record_health
from worker.jobs.run_attempt import AttemptConfig, AttemptRunner
from worker.jobs.sandboxed_analysis import SandboxedAnalysis
from worker.process_loop import wait_until_available
from worker.remote.audio_file import fetch
from worker.remote.fetcher import RemoteLimits
from worker.sandbox.fork_client import ForkServerClient
from worker.sandbox.limits import ChildLimits
from worker.trace_spans import spans_of_attempt

byte_progress = ByteProgress()
settings, services = bootstrap("worker", on_audio_bytes=byte_progress.mark)
app = services.celery
app.conf.update(
    worker_concurrency=choose_concurrency(
        available_cpus(),
        memory_limit_bytes=memory_limit_bytes(),
        parent_bytes=settings.worker_memory_bytes,
        job_memory_bytes=settings.job_memory_bytes + settings.source_spool_bytes + SLOT_BYTES,
    ),
    worker_max_tasks_per_child=settings.worker_jobs_per_child,
    worker_pool="worker.health.pool:TaskPool",
)
install_heartbeat(
    app,
    HealthReporting(
        workers=services.workers,
        controls=services.worker_control,
        diagnose_worker=partial(
            diagnose,
            jobs=services.jobs,
            workers=services.workers,
            controls=services.worker_control,
            queues=QUEUES,
            stalled_seconds=settings.worker_stall_timeout_seconds,
        ),
        bytes_arrived_at=lambda: byte_progress.last_at,
    ),
)
drain = Drain(grace_seconds=settings.shutdown_grace_seconds)
drain.on_shutdown()

fork_server = ForkServerClient("worker.sandbox_server")
runner = AttemptRunner(
    jobs=services.jobs,
    audio=services.audio,
    fetch=partial(
        fetch,
        outbound=services.outbound,
        limits=RemoteLimits(
            max_file_bytes=settings.max_upload_bytes,
            read_bytes=settings.source_read_bytes,
            spool_bytes=settings.source_spool_bytes,
            timeout_seconds=settings.source_timeout_seconds,
            idle_timeout_seconds=settings.source_response_timeout_seconds,
            allow_http=settings.source_allow_http,
        ),
        on_bytes=lambda size: services.metrics_recorder.buffer.add(increment(FETCHED, amount=size)),
    ),
    analyze_audio=SandboxedAnalysis(
        window_seconds=settings.window_seconds,
        limits=ChildLimits(
            memory_bytes=settings.job_memory_bytes,
            cpu_seconds=int(settings.job_timeout_seconds),
            wall_seconds=settings.job_timeout_seconds,
        ),
        launcher=lambda request: fork_server.launcher(asdict(request)),
    ),
    worker=worker_name,
    config=AttemptConfig(
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.job_retry_delay_seconds,
        keep_audio=settings.keep_audio,
        source_retry_seconds=settings.source_retry_delays_seconds,
    ),
    paused_queues=services.worker_control.paused,
    is_stopping=lambda: drain.is_over,
)


@app.task(name=ANALYZE, bind=True)  # type: ignore[untyped-decorator]  # Celery ships no types
def analyze_audio(task: Any, job_id: str) -> None:
    """Run one attempt of a job."""
    with log_context(job_id=job_id, request_id=task.request.get(REQUEST_ID)):
        try:
            ended = runner.run(job_id)
            for span in spans_of_attempt(ended) if ended and services.traces.is_on else ():
                services.traces.record(span)
        finally:
            services.metrics_recorder.flush()
            services.traces.flush()  # not in a background thread, because this process forks


fork_server.start()
gc.freeze()


def main(arguments: list[str]) -> None:
    """Run the worker until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m worker run", description="Run jobs from the queues.")
    parser.add_argument(
        "--concurrency", type=int, metavar="N", help="jobs at once (default: by CPU and memory)"
    )
    parser.add_argument("--queues", default=",".join(QUEUES), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    flags = ["--loglevel", "INFO", "--without-mingle", "--without-gossip", "--queues", options.queues]
    if options.concurrency:
        flags += ["--concurrency", str(options.concurrency)]
    # Celery waits for its broker too, but ends at some answers, such as those of a replica without a master.
    wait_until_available(
        lambda: services.jobs.backlog(INTERACTIVE), on_wait=lambda: record_health(os.getpid(), None)
    )
    app.worker_main(["worker", *flags])
