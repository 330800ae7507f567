"""Every way in which audio comes in: through us, around us, in pieces, or by its address. Assembly only."""

from dataclasses import dataclass
from typing import Self

from api.addresses import Addresses
from api.arrived import Arrivals
from api.budget import BufferBudget
from api.direct import DirectUploads
from api.idempotency import Idempotency
from api.in_flight import UploadsInFlight
from api.known import KnownSongs
from api.resumable import ResumableUploads
from api.rules import Rules
from api.source_url import AddressedJobs
from api.submit import Submissions
from shared.stores import Stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """All of them end in the same jobs, and share one budget of buffers."""

    submissions: Submissions
    resumable: ResumableUploads
    direct: DirectUploads
    addressed: AddressedJobs

    @classmethod
    def over(cls, stores: Stores, *, rules: Rules, addresses: Addresses, in_flight: UploadsInFlight) -> Self:
        """Made of what is outside and what is promised."""
        terms = rules.terms
        submissions = Submissions(
            jobs=stores.jobs,
            audio=stores.audio,
            queue=stores.queue,
            terms=terms,
            budget=BufferBudget(terms.upload_buffer_bytes, part_bytes=stores.audio.part_bytes),
            in_flight=in_flight,
            idempotency=Idempotency(stores.claims),
            known=KnownSongs(
                recall=stores.recall if rules.reuse_reports else None, window_seconds=terms.window_seconds
            ),
            check_url=addresses.of_callbacks,
        )
        return cls(
            submissions=submissions,
            resumable=ResumableUploads(
                submissions=submissions,
                arrivals=Arrivals(
                    jobs=stores.jobs, audio=stores.audio, parts=stores.parts, store=stores.resumables
                ),
                seconds=terms.direct_upload_seconds,
            ),
            direct=DirectUploads(
                store=stores.direct,
                parts=stores.parts,
                submissions=submissions,
                seconds=terms.direct_upload_seconds,
            ),
            addressed=AddressedJobs(
                submissions=submissions,
                check_url=addresses.of_sources,
                counts_as_bytes=terms.source_counts_as_bytes,
            ),
        )
