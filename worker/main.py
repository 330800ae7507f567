"""The Celery app and its task, for `celery -A worker.main worker`. Nobody imports it."""

import gc
from functools import partial
from typing import Any

from shared.celery_queue import ANALYZE, QUEUES, REQUEST_ID
from shared.observability.logs import configure_logs, log_context
from shared.observability.metrics import FETCHED, increment
from shared.services import connect
from shared.settings import read_settings
from worker.health.cgroups import available_cpus, choose_concurrency, memory_limit_bytes
from worker.health.drain import Drain
from worker.health.heartbeat import announce, diagnose, worker_name
from worker.jobs.analyze_audio import analyze_in_sandbox
from worker.jobs.run_attempt import AttemptConfig, analyze
from worker.remote.audio_file import fetch
from worker.remote.fetcher import RemoteLimits
from worker.sandbox.limits import ChildLimits
from worker.trace_spans import spans_of_attempt
from worker.warm_up import warm_up

settings = read_settings()
configure_logs(
    log_format=settings.log_format, log_level=settings.log_level, log_filenames=settings.log_filenames
)
services = connect(settings, process="worker")
app = services.celery
announce(
    app,
    services.workers,
    services.worker_control,
    look=partial(
        diagnose,
        jobs=services.jobs,
        workers=services.workers,
        controls=services.worker_control,
        queues=QUEUES,
        stalled_seconds=settings.stalled_seconds,
    ),
)
app.conf.update(
    worker_concurrency=choose_concurrency(
        available_cpus(),
        memory_limit_bytes=memory_limit_bytes(),
        parent_bytes=settings.worker_memory_bytes,
        job_memory_bytes=settings.job_memory_bytes + settings.source_spool_bytes,
    ),
    worker_max_tasks_per_child=settings.worker_jobs_per_child,
)
drain = Drain(grace_seconds=settings.drain_seconds)
drain.on_shutdown()

terms = AttemptConfig(
    lease_seconds=settings.lease_seconds,
    retry_seconds=settings.retry_seconds,
    keep_audio=settings.keep_audio,
    source_pauses=settings.source_retry_seconds,
)
fetch_audio = partial(
    fetch,
    outbound=services.outbound,
    limits=RemoteLimits(
        whole_bytes=settings.max_upload_bytes,
        read_bytes=settings.source_read_bytes,
        spool_bytes=settings.source_spool_bytes,
        seconds=settings.source_seconds,
        silent_seconds=settings.source_answer_seconds,
        allow_http=settings.source_allow_http,
    ),
    count=lambda size: services.metrics_recorder.tally.add(increment(FETCHED, amount=size)),
)
listen = partial(
    analyze_in_sandbox,
    window_seconds=settings.window_seconds,
    limits=ChildLimits(
        memory_bytes=settings.job_memory_bytes,
        cpu_seconds=int(settings.job_wall_seconds),
        wall_seconds=settings.job_wall_seconds,
    ),
)


@app.task(name=ANALYZE, bind=True)  # type: ignore[untyped-decorator]  # Celery ships no types
def analyze_audio(task: Any, job_id: str) -> None:
    """Run one attempt of a job."""
    with log_context(job_id=job_id, request_id=task.request.get(REQUEST_ID)):
        try:
            ended = analyze(
                job_id,
                jobs=services.jobs,
                audio=services.audio,
                fetch=fetch_audio,
                listen=listen,
                worker=worker_name(),
                terms=terms,
                paused=services.worker_control.paused,
                stopping=lambda: drain.is_over,
            )
            for span in spans_of_attempt(ended) if ended and services.traces.is_on else ():
                services.traces.record(span)
        finally:
            services.metrics_recorder.flush()
            services.traces.flush()  # here and not in a thread: this process forks


warm_up()
gc.freeze()
