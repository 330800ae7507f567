from shared.ports.jobs import JobQueue


def test_jobs_are_enqueued_in_their_queue(queue: JobQueue) -> None:
    queue.enqueue("a", queue="interactive")
    queue.enqueue("b", queue="interactive")
    queue.enqueue("c", queue="batch")
    assert queue.enqueued_ids("interactive") == {"a", "b"}
    assert queue.enqueued_ids("batch") == {"c"}
    assert queue.enqueued_ids("nothing") == frozenset()


def test_enqueueing_twice_is_not_an_error(queue: JobQueue) -> None:
    queue.enqueue("a", queue="interactive")
    queue.enqueue("a", queue="interactive")
    assert queue.enqueued_ids("interactive") == {"a"}
