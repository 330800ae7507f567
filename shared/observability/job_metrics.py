"""Maps a change of a job to the metrics that it adds to. Pure."""

from shared.domain.job import Job
from shared.domain.measurements import Measured, Measurement, measure_change
from shared.observability import metrics

_COUNTERS = {
    Measured.ACCEPTED: metrics.ACCEPTED,
    Measured.UPLOADED_BYTES: metrics.UPLOADED,
    Measured.CACHED: metrics.CACHED,
    Measured.REQUEUED: metrics.REQUEUED,
    Measured.VERDICT: metrics.VERDICTS,
    Measured.ENDED: metrics.FINISHED,
}
_HISTOGRAMS = {
    Measured.WAITING_SECONDS: metrics.WAITING,
    Measured.TOTAL_SECONDS: metrics.TOTAL,
    Measured.DECODE_SECONDS: metrics.DECODING,
    Measured.ANALYSIS_SECONDS: metrics.ANALYSING,
    Measured.MEMORY_BYTES: metrics.MEMORY,
}


def metrics_of_change(old: Job | None, new: Job) -> dict[str, float]:
    """The fields of the metrics record that a change adds to, and by how much."""
    fields: dict[str, float] = {}
    for measurement in measure_change(old, new):
        for field, amount in _fields(measurement).items():
            fields[field] = fields.get(field, 0.0) + amount
    return fields


def _fields(measurement: Measurement) -> dict[str, float]:
    if (histogram := _HISTOGRAMS.get(measurement.what)) is not None:
        return metrics.observe(histogram, measurement.value)
    if (counter := _COUNTERS.get(measurement.what)) is None:
        return {}
    labels = measurement.labels
    if measurement.what is Measured.ENDED:
        state, code = labels
        labels = (state, _reason(code))
    return metrics.increment(counter, *labels, amount=measurement.value)


def _reason(code: str) -> str:
    """A label from a fixed list, so that an unexpected code of a decoder creates no new series."""
    if not code:
        return "none"
    return code if code in metrics.REASONS else "other"
