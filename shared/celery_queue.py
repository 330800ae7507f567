"""JobQueue over Celery on Redis: names on the wire, Celery's configuration, doorbells.

A message is a doorbell: acknowledged before the work starts, never redelivered by Celery. What must
happen stands in the job's record, and the rescuer rings again. See docs/decisions/0002.
"""

import json
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.observability.logs import context_field
from shared.redis.sentinel import parse_sentinel_url

ANALYZE = "audio.analyze"
INTERACTIVE = "interactive"
BATCH = "batch"
REQUEST_ID = "kammerton_request_id"
"""The header that takes the id of the request that rang to the worker's log."""
QUEUES = (INTERACTIVE, BATCH)

_MOST_READ = 1000


def connect_celery(redis_url: str, *, prefix: str, socket_timeout_seconds: float = 30) -> Celery:
    """The Celery app of both sides: the API sends with it, the worker adds its task to it."""
    sentinel = parse_sentinel_url(redis_url)
    app = Celery("kammerton", broker=sentinel.broker_url if sentinel else redis_url, set_as_current=False)
    app.conf.update(
        task_acks_late=False,  # a message that killed its worker must not come back by itself
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=INTERACTIVE,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # else messages of busy workers die with them in their memory
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # our lease decides, not the connection
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=4,
        broker_pool_limit=10,
        broker_transport_options={
            "global_keyprefix": prefix,
            "visibility_timeout": 600,
            "socket_timeout": socket_timeout_seconds,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "queue_order_strategy": "priority",  # a person never waits behind a batch
            **({"master_name": sentinel.master} if sentinel else {}),
        },
    )
    return app


class CeleryJobQueue:
    """Doorbells for workers."""

    def __init__(self, app: Celery, client: "redis.Redis", *, prefix: str) -> None:
        self._app = app
        self._client = client
        self._prefix = prefix

    def enqueue(self, job_id: str, *, queue: str) -> None:
        """Tell the workers of a queue that a job waits."""
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
            raise Unavailable("The queue does not answer; try again later.") from error

    def enqueued_ids(self, queue: str) -> frozenset[str]:
        """Ids of the thousand jobs whose messages wait at the head of the queue."""
        try:
            messages: Any = self._client.lrange(self._prefix + queue, -_MOST_READ, -1)
        except (RedisError, OSError) as error:
            raise Unavailable("The queue does not answer; try again later.") from error
        return frozenset(json.loads(message)["headers"]["id"] for message in messages)
