"""The callback that a request asks for: judged before a byte is stored, with a secret for who has no key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.access.authentication import Caller
from api.config import CheckUrl
from shared.domain.job import Callback
from shared.domain.webhook import DEFAULT_EVENTS, JOB_EVENTS, EventType, new_secret, parse_events
from shared.errors import AddressRefused, BadRequest, Unreachable

CALLBACK_URL = "Where to POST what becomes of the job: https, on a public address."
EVENTS = f"What to tell, separated by commas: {', '.join(JOB_EVENTS)}. By default all but `job.started`."
FORM_FIELDS = {
    "callback_url": {"type": "string", "format": "uri", "description": CALLBACK_URL},
    "events": {"type": "string", "description": EVENTS},
}


@dataclass(frozen=True, slots=True)
class CallbackWish:
    """What somebody asked for, not yet judged."""

    url: str | None
    events: tuple[str, ...]

    @classmethod
    def of(cls, fields: Mapping[str, str], *, url: str | None, events: Sequence[str]) -> "CallbackWish":
        """The fields of a form, or else the query's parameters."""
        given = fields["events"].split(",") if "events" in fields else ",".join(events).split(",")
        names = tuple(name.strip() for name in given if name.strip())
        return cls(fields.get("callback_url", "").strip() or (url or "").strip() or None, names)

    def grant(
        self,
        caller: Caller,
        *,
        check_url: CheckUrl,
        known: tuple[EventType, ...] = JOB_EVENTS,
        default: tuple[EventType, ...] = DEFAULT_EVENTS,
    ) -> Callback | None:
        """The callback, if one is wanted. Blocking. Raises BadRequest, AddressRefused."""
        events = parse_events(self.events, known=known, default=default)
        if self.url is None:
            if self.events:
                raise BadRequest("`events` says what to tell; `callback_url` must say whom.")
            return None
        return Callback(
            url=checked(self.url, check_url=check_url),
            events=tuple(events),
            secret=new_secret() if caller.key_id is None else None,
        )


def checked(url: str, *, check_url: CheckUrl) -> str:
    """The address in its normal form. Raises AddressRefused, with a sentence that names what is meant."""
    try:
        return check_url(url)
    except (AddressRefused, Unreachable) as error:
        raise AddressRefused(f"This address can't be called back. {error.message}") from error
