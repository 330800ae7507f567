from shared.ports.jobs import JobQueue


def test_submitted_jobs_are_announced_in_their_queue(queue: JobQueue) -> None:
    queue.enqueue("a", queue="interactive")
    queue.enqueue("b", queue="interactive")
    queue.enqueue("c", queue="batch")
    assert queue.enqueued_ids("interactive") == {"a", "b"}
    assert queue.enqueued_ids("batch") == {"c"}
    assert queue.enqueued_ids("nothing") == frozenset()


def test_ringing_twice_is_no_error(queue: JobQueue) -> None:
    queue.enqueue("a", queue="interactive")
    queue.enqueue("a", queue="interactive")
    assert queue.enqueued_ids("interactive") == {"a"}
