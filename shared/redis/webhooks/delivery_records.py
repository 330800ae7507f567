"""Records of deliveries. The body is compressed once a delivery has ended: only a redelivery needs it."""

import base64
import json
import zlib
from dataclasses import replace

from shared.domain.webhooks.delivery import Delivery, DeliveryState
from shared.errors import UnreadableRecord
from shared.redis.compression import EVENT, compress, decompress
from shared.redis.records import RecordCodec

_DELIVERIES = RecordCodec(Delivery)
_PACKED = "packed_body"


def dump_delivery(delivery: Delivery) -> str:
    """The JSON of a delivery."""
    if delivery.state is DeliveryState.PENDING:
        return _DELIVERIES.dump(delivery)
    values = json.loads(_DELIVERIES.dump(replace(delivery, body="")))
    values[_PACKED] = base64.b85encode(compress(delivery.body.encode(), EVENT)).decode()
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def load_delivery(text: str) -> Delivery:
    """The delivery of a JSON text. Raises UnreadableRecord."""
    if f'"{_PACKED}"' not in text:
        return _DELIVERIES.load(text)
    try:
        values = json.loads(text)
        packed = values.pop(_PACKED, None)
        if packed is not None:
            values["body"] = decompress(base64.b85decode(packed), EVENT).decode()
    except (ValueError, AttributeError, zlib.error) as error:
        raise UnreadableRecord("The record of this delivery can't be read.") from error
    return _DELIVERIES.load(json.dumps(values))
