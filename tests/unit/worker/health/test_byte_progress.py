import os

from worker.health.byte_progress import ByteProgress


def test_a_worker_sees_that_bytes_arrived_in_its_child() -> None:
    progress = ByteProgress()
    assert progress.last_at == 0
    pid = os.fork()
    if pid == 0:
        progress.mark(1)
        os._exit(0)
    os.waitpid(pid, 0)
    assert progress.last_at > 0


def test_an_end_of_file_is_no_progress() -> None:
    progress = ByteProgress()
    progress.mark(0)
    assert progress.last_at == 0
