"""JobQueue over Celery on Redis: the names on the wire, Celery's configuration, and the messages.

A message only wakes a worker. Workers acknowledge it before they start, and Celery never redelivers it: the
job's record says what to do, and the rescuer enqueues lost jobs again. See docs/decisions, ADR 1.
"""

import json
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.observability.logs import context_field
from shared.redis.client import KEEPALIVE_OPTIONS
from shared.redis.sentinel import SentinelUrl, parse_sentinel_url, tls_options

ANALYZE = "audio.analyze"
INTERACTIVE = "interactive"
BATCH = "batch"
REQUEST_ID = "kammerton_request_id"
"""The message header with the id of the request, for the worker's log."""
QUEUES = (INTERACTIVE, BATCH)

_MAX_READ = 1000


def connect_celery(redis_url: str, *, prefix: str, socket_timeout_seconds: float = 30) -> Celery:
    """The Celery app: the API sends messages with it, and the worker adds its task."""
    sentinel = parse_sentinel_url(redis_url)
    app = Celery("kammerton", broker=sentinel.broker_url if sentinel else redis_url, set_as_current=False)
    app.conf.update(
        task_acks_late=False,  # Celery must not redeliver a message that killed its worker
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=INTERACTIVE,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # a dead worker would lose the messages it prefetched
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # the lease decides, not the connection
        worker_enable_remote_control=False,  # unused: the dashboard commands workers through their heartbeat
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # Redis is full, read-only or short of replicas: wait, do not end
        broker_connection_timeout=4,
        broker_pool_limit=10,
        broker_use_ssl=tls_options(redis_url) or None,  # kombu's own default checks no certificate
        broker_transport_options={
            "global_keyprefix": prefix,
            "visibility_timeout": 600,
            "socket_timeout": socket_timeout_seconds,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE_OPTIONS,
            "health_check_interval": 10,
            "queue_order_strategy": "priority",  # interactive jobs go first
            **(_sentinel_options(sentinel, socket_timeout_seconds) if sentinel else {}),
        },
    )
    return app


def _sentinel_options(sentinel: SentinelUrl, socket_timeout_seconds: float) -> dict[str, Any]:
    how = {"socket_timeout": socket_timeout_seconds, "socket_connect_timeout": 4}
    return {"master_name": sentinel.master, "sentinel_kwargs": how | sentinel.sentinel_options}


class CeleryJobQueue:
    """Enqueues jobs as Celery messages."""

    def __init__(self, app: Celery, client: "redis.Redis", *, prefix: str) -> None:
        self._app = app
        self._client = client
        self._prefix = prefix

    def enqueue(self, job_id: str, *, queue: str) -> None:
        """Send a message for a job to the workers of a queue. Raises Unavailable."""
        try:
            self._app.send_task(
                ANALYZE,
                args=[job_id],
                task_id=job_id,
                queue=queue,
                retry=False,
                headers={REQUEST_ID: context_field("request_id")},
            )
        except (KombuError, RedisError, OSError) as error:
            raise Unavailable("The job queue is unavailable. Try again in a few seconds.") from error

    def enqueued_ids(self, queue: str) -> frozenset[str]:
        """The jobs of the first thousand messages in the queue. Raises Unavailable."""
        try:
            messages: Any = self._client.lrange(self._prefix + queue, -_MAX_READ, -1)
        except (RedisError, OSError) as error:
            raise Unavailable("The job queue is unavailable. Try again in a few seconds.") from error
        return frozenset(json.loads(message)["headers"]["id"] for message in messages)
