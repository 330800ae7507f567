from shared.ports.jobs import JobQueue


def test_submitted_jobs_are_announced_in_their_queue(queue: JobQueue) -> None:
    queue.submit("a", queue="interactive")
    queue.submit("b", queue="interactive")
    queue.submit("c", queue="batch")
    assert queue.announced("interactive") == {"a", "b"}
    assert queue.announced("batch") == {"c"}
    assert queue.announced("nothing") == frozenset()


def test_ringing_twice_is_no_error(queue: JobQueue) -> None:
    queue.submit("a", queue="interactive")
    queue.submit("a", queue="interactive")
    assert queue.announced("interactive") == {"a"}
