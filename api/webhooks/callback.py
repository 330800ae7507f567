"""The callback of one job or batch: where its events are sent. Checked before a byte is stored."""

from collections.abc import Callable, Sequence

from api.access.authentication import Caller
from api.access.url_checker import UrlChecker
from shared.domain.job_fields import Callback
from shared.domain.webhooks.events import JOB_EVENTS, EventType, new_secret, parse_events
from shared.errors import AddressRefused, BadRequest

CALLBACK_URL = "Where to POST the job's events: https, on a public address."
EVENTS = (
    f"Events to send, separated by commas: {', '.join(JOB_EVENTS)}. The default is all but `job.started`."
)
FORM_FIELDS = {
    "callback_url": {"type": "string", "format": "uri", "description": CALLBACK_URL},
    "events": {"type": "string", "description": EVENTS},
}


async def create_callback(
    url: str | None,
    events: Sequence[str],
    caller: Caller,
    urls: UrlChecker,
    parse: Callable[[Sequence[str]], tuple[EventType, ...]] = parse_events,
) -> Callback | None:
    """Create a callback, if one is asked for; with a secret of its own for a caller without an API key.

    Raises:
        BadRequest: an event is unknown, or there are events and no address.
        AddressRefused: the address can't be called.
        Overloaded: its host name can't be resolved now.
    """
    parsed = parse(events)
    if url is None:
        if events:
            raise BadRequest("`events` requires `callback_url`.")
        return None
    secret = new_secret() if caller.key_id is None else None
    return Callback(url=await check_callback_url(url, caller, urls), events=parsed, secret=secret)


async def check_callback_url(url: str, caller: Caller, urls: UrlChecker) -> str:
    """Return the address in its normal form.

    Raises:
        AddressRefused: with a sentence about callbacks.
        Overloaded: the host name can't be resolved now.
    """
    try:
        return await urls.check(url, caller)
    except AddressRefused as error:
        raise type(error)(f"This callback address can't be used. {error.message}") from error
