"""Packed reports and deliveries: what is lost, and what is not."""

import hashlib
import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from shared.domain.report import DurationAccuracy, Report, Spectrum
from shared.domain.webhooks.delivery import DeliveryState
from shared.errors import UnreadableRecord
from shared.redis.compression import EVENT, REPORT
from shared.redis.jobs.report_codec import pack_report, parse_report, unpack_report
from shared.redis.webhooks.delivery_records import dump_delivery, load_delivery
from shared.schemas.job import ReportView
from tests.support.factories import make_report
from tests.support.fakes.webhooks import make_delivery

DICTIONARIES = {"report": REPORT, "event": EVENT}


def test_a_report_survives_packing() -> None:
    report = make_report()
    assert unpack_report(pack_report(report)) == report


@pytest.mark.parametrize(
    "changes", [{"spectrum": None}, {"histogram": ()}, {"spectrum": None, "histogram": ()}]
)
def test_a_report_without_charts_survives_packing(changes: dict[str, object]) -> None:
    report = make_report(**changes)
    assert unpack_report(pack_report(report)) == report


def test_charts_keep_half_a_decibel_and_a_hundredth_of_a_percent() -> None:
    levels = tuple(-0.37 * number for number in range(512))
    histogram = tuple(0.0123456 for _ in range(100))
    report = make_report(
        histogram=histogram, spectrum=Spectrum(low_hz=20.0, high_hz=16_000.0, levels_db=levels)
    )
    found = unpack_report(pack_report(report)).tuning
    assert found.spectrum is not None
    assert found.spectrum.levels_db == pytest.approx(levels, abs=0.26)
    assert found.histogram == pytest.approx(histogram, abs=1e-4)


def test_a_packed_report_is_a_fifth_of_its_json() -> None:
    levels = tuple(-40.0 + (number * 37 % 23) for number in range(512))
    report = make_report(spectrum=Spectrum(low_hz=20.0, high_hz=16_000.0, levels_db=levels))
    text = json.dumps({"levels": levels, "histogram": report.tuning.histogram})
    assert len(pack_report(report)) < len(text) / 5


@pytest.mark.parametrize("packed", [b"", b"x", b"!!!!", pack_report(make_report())[:-9], b"\0" * 40])
def test_a_damaged_report_is_unreadable(packed: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        unpack_report(packed)


def test_other_numbers_keep_more_digits_than_anybody_is_shown() -> None:
    report = make_report(a4_hz=431.98765432, dominant_hz=4186.0090448, probabilities={"432": 0.123456789})
    found = unpack_report(pack_report(report)).tuning
    assert (found.a4_hz, found.dominant_hz) == (431.9877, 4186.009)
    assert found.probabilities == {"432": 0.1234568}


def test_a_dictionary_is_part_of_what_is_stored_and_never_changes() -> None:
    digests = {name: hashlib.sha256(dictionary).hexdigest()[:16] for name, dictionary in DICTIONARIES.items()}
    assert digests == {"report": "efea3f581203825c", "event": "f78594d0316c9724"}


def test_a_report_of_the_last_release_is_read() -> None:
    report = make_report()
    from pydantic import TypeAdapter

    assert parse_report(TypeAdapter(Report).dump_json(report).decode()) == report
    with pytest.raises(UnreadableRecord):
        parse_report("{}")


@pytest.mark.parametrize("state", list(DeliveryState))
def test_a_delivery_keeps_its_body_in_every_state(state: DeliveryState) -> None:
    delivery = replace(make_delivery(), state=state, body='{"däta":' + "1" * 999 + "}")
    text = dump_delivery(delivery)
    assert load_delivery(text) == delivery
    assert (len(text) < 700) == (state is not DeliveryState.PENDING)


def test_a_report_from_before_durations_and_tracks_is_read() -> None:
    audio = make_report().audio
    old = replace(audio, duration_seconds=None, duration_accuracy=DurationAccuracy.UNKNOWN, track=None)
    packed = pack_report(replace(make_report(), audio=old))  # defaults aren't written
    view = ReportView.of(unpack_report(packed)).audio
    assert (view.duration_seconds, view.duration_accuracy, view.track) == (None, "unknown", None)


def test_a_reason_of_a_newer_version_is_kept() -> None:
    report = make_report()
    values = json.loads(TypeAdapter(Report).dump_json(report))
    values["audio"]["track"]["reason"] = "loudest"
    newer = parse_report(json.dumps(values))
    assert unpack_report(pack_report(newer)) == newer
    view = ReportView.of(newer).audio
    assert view.track is not None
    assert view.track.reason == "loudest"
