import json
import uuid

from shared.celery_queue import REQUEST_ID, CeleryJobQueue, connect_celery
from shared.observability.logs import log_context
from shared.redis.client import connect_redis
from tests.support.servers import ValkeyServer


def test_a_message_has_the_id_of_its_request(valkey: ValkeyServer) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}:"
    app, client = connect_celery(valkey.url, prefix=prefix), connect_redis(valkey.url)
    queue = CeleryJobQueue(app, client, prefix=prefix)
    with log_context(request_id="r-1"):
        queue.enqueue("a", queue="interactive")
    queue.enqueue("b", queue="interactive")
    messages = client.lrange(prefix + "interactive", 0, -1)
    assert isinstance(messages, list)
    headers = [json.loads(message)["headers"] for message in reversed(messages)]
    assert [(each["id"], each.get(REQUEST_ID)) for each in headers] == [("a", "r-1"), ("b", None)]
    client.close()
    app.close()
