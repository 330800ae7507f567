from shared.ports.workers import WorkerInfo, WorkerRegistry

A_WORKER = WorkerInfo(name="host:1", host="host", pid=1, started_at=1.0, seen_at=2.0, queues=("interactive",))


def test_a_worker_with_heartbeats_is_listed_until_it_is_deregistered(workers: WorkerRegistry) -> None:
    workers.heartbeat(A_WORKER)
    workers.heartbeat(A_WORKER)
    assert workers.list_alive() == (A_WORKER,)
    workers.deregister("host:1")
    assert workers.list_alive() == ()
