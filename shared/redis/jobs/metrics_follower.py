"""A follower of RedisJobStore that counts every change, for /metrics and for the history."""

from shared.domain.history import TIME_RANGES, counters_of_change
from shared.domain.job import Job
from shared.observability.job_metrics import metrics_of_change
from shared.redis.history import bucket_name


class JobMetricsFollower:
    """Writes the counters in the transaction of the change: none is lost, none counts twice."""

    def __init__(self, *, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, old: Job | None, new: Job) -> list[list[str]]:
        """The commands that count one change. Pure."""
        metrics = metrics_of_change(old, new)
        commands = [
            ["HINCRBYFLOAT", self._prefix + "counts", field, repr(amount)]
            for field, amount in metrics.items()
        ]
        expiring: dict[str, int] = {}
        for at, counter in counters_of_change(old, new):
            for time_range in TIME_RANGES:
                bucket = bucket_name(self._prefix, time_range, at)
                commands.append(["HINCRBY", bucket, counter, "1"])
                expiring[bucket] = time_range.ttl_seconds
        return commands + [["EXPIRE", bucket, str(seconds)] for bucket, seconds in expiring.items()]
