import hashlib
import io
import mimetypes
from collections.abc import Iterator
from typing import Any

import pytest

from shared.domain.job import Job
from shared.errors import Unavailable
from shared.ports.workers import WorkerInfo
from tests.support.api_harness import MAX_BYTES, ApiHarness
from tests.support.factories import make_job, make_report

SONG = b"RIFF" + bytes(range(256)) * 40


def stays_clean(api: ApiHarness) -> bool:
    return not (api.audio.objects or api.audio.uploads or api.jobs.jobs or api.queue.messages)


def test_a_form_becomes_a_queued_job_with_its_audio_in_storage(api: ApiHarness) -> None:
    answer = api.client.post("/v1/jobs", files={"file": ("song.mp3", SONG, "audio/mpeg")})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["retry-after"] == "1"
    assert (job["state"], job["attempts"], job["report"], job["problem"]) == ("queued", 0, None, None)
    assert job["input"] == {
        "filename": "song.mp3",
        "media_type": "audio/mpeg",
        "bytes": len(SONG),
        "sha256": hashlib.sha256(SONG).hexdigest(),
        "source": None,
    }
    assert api.audio.objects[job["id"]][0] == SONG
    assert api.queue.messages == {"interactive": [job["id"]]}
    assert api.client.get(answer.headers["location"]).json()["id"] == job["id"]


@pytest.mark.parametrize(
    "media_type", ["audio/flac", "application/octet-stream", "video/mp4", "Audio/MPEG; q=1"]
)
def test_a_raw_body_becomes_a_job(api: ApiHarness, media_type: str) -> None:
    answer = api.client.post(
        "/v1/jobs", params={"filename": "a.flac"}, content=SONG, headers={"Content-Type": media_type}
    )
    assert answer.status_code == 202
    assert answer.json()["input"]["filename"] == "a.flac"
    assert api.audio.objects[answer.json()["id"]][0] == SONG


def test_a_raw_body_without_a_media_type_is_accepted(api: ApiHarness) -> None:
    assert api.client.post("/v1/jobs", content=SONG).status_code == 202


def test_a_chunked_body_of_several_parts_is_stored_unchanged(api: ApiHarness) -> None:
    pieces = [b"RIFF" + bytes([number]) * 1_000_003 for number in range(11)]

    def body() -> Iterator[bytes]:
        yield from pieces

    answer = api.client.post("/v1/jobs", content=body(), headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 202
    assert api.audio.objects[answer.json()["id"]][0] == b"".join(pieces)
    assert answer.json()["input"]["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert api.audio.largest_part == api.audio.part_bytes


def form(*parts: tuple[str, bytes], boundary: bytes = b"xyz", end: bytes = b"--\r\n") -> bytes:
    body = b""
    for headers, content in parts:
        body += (
            b"--"
            + boundary
            + b"\r\nContent-Disposition: form-data; "
            + headers.encode()
            + b"\r\n\r\n"
            + content
        )
        body += b"\r\n"
    return body + b"--" + boundary + end


def send_form(api: ApiHarness, body: bytes, content_type: str = "multipart/form-data; boundary=xyz") -> Any:
    return api.client.post("/v1/jobs", content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("before", [True, False])
def test_form_fields_can_come_before_or_after_the_file(api: ApiHarness, before: bool) -> None:
    parts = [('name="start_seconds"', b"12.5"), ('name="file"; filename="a.wav"', SONG)]
    answer = send_form(api, form(*(parts if before else reversed(parts))))
    assert answer.status_code == 202
    assert api.jobs.jobs[answer.json()["id"]].start_seconds == 12.5


REFUSED = {
    "empty body": (b"", {"Content-Type": "audio/mpeg"}, 400, "empty_upload"),
    "empty file": (form(('name="file"; filename="a"', b"")), None, 400, "empty_upload"),
    "no file": (form(('name="other"', b"x")), None, 400, "no_file"),
    "two files": (form(('name="file"', SONG), ('name="file"', SONG)), None, 400, "two_files"),
    "wrong boundary": (form(('name="file"', SONG), boundary=b"abc"), None, 400, "bad_form"),
    "unfinished form": (form(('name="file"', SONG), end=b""), None, 400, "bad_form"),
    "cut form": (form(('name="file"', SONG))[:300], None, 400, "bad_form"),
    "empty form": (b"", None, 400, "bad_form"),
    "no boundary": (form(('name="file"', SONG)), {"Content-Type": "multipart/form-data"}, 400, "bad_form"),
    "huge field": (form(('name="note"', b"x" * 20_000), ('name="file"', SONG)), None, 400, "bad_form"),
    "many fields": (form(*[(f'name="f{n}"', b"") for n in range(50)]), None, 400, "bad_form"),
    "huge header": (form((f'name="file"; filename="{"x" * 20_000}"', SONG)), None, 400, "bad_form"),
    "text": (b"hello", {"Content-Type": "text/plain"}, 415, "unsupported_media"),
    "bad start": (form(('name="start_seconds"', b"soon"), ('name="file"', SONG)), None, 400, "bad_request"),
    "nan start": (form(('name="file"', SONG), ('name="start_seconds"', b"nan")), None, 400, "bad_request"),
    "too large": (b"RIFF" + bytes(MAX_BYTES), {"Content-Type": "audio/wav"}, 413, "too_large"),
    "too large in a form": (form(('name="file"', b"RIFF" + bytes(MAX_BYTES))), None, 413, "too_large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_upload_gets_a_problem_and_leaves_nothing(api: ApiHarness, case: str) -> None:
    body, headers, status, code = REFUSED[case]
    headers = headers or {"Content-Type": "multipart/form-data; boundary=xyz"}
    answer = api.client.post("/v1/jobs", content=body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:kammerton:problem:{code}"
    assert problem["status"] == status
    assert len(problem["detail"]) > 20
    assert stays_clean(api)


def test_a_chunked_body_above_the_limit_is_refused_and_leaves_nothing(api: ApiHarness) -> None:
    sent = io.BytesIO(b"RIFF" + bytes(MAX_BYTES + 1))

    def body() -> Iterator[bytes]:
        while chunk := sent.read(1 << 20):
            yield chunk

    answer = api.client.post("/v1/jobs", content=body(), headers={"Content-Type": "audio/wav"})
    assert answer.status_code == 413
    assert stays_clean(api)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Music\\song.mp3", "song.mp3"),
        ("a\x00b\x1b[31m.mp3", "ab[31m.mp3"),
        ("x" * 10_000 + ".mp3", "x" * 196 + ".mp3"),
        ("x." + "y" * 5_000, ("x." + "y" * 5_000)[:200]),
        ("…/", None),
        ("Ärger 🎵.flac", "Ärger 🎵.flac"),
    ],
)
def test_filenames_are_cleaned(api: ApiHarness, given: str, kept: str | None) -> None:
    answer = api.client.post("/v1/jobs", params={"filename": given}, content=SONG)
    assert answer.json()["input"]["filename"] == kept


@pytest.mark.parametrize(
    ("disposition", "kept"),
    [
        ("filename*=UTF-8''%C3%84rger%20%F0%9F%8E%B5.flac", "Ärger 🎵.flac"),
        ("filename=\"_rger.flac\"; filename*=UTF-8'de'%C3%84rger.flac", "Ärger.flac"),
        ("filename*=utf-8''%C3%84rger.flac; filename=\"_rger.flac\"", "Ärger.flac"),
        ("filename*=iso-8859-1''%C4rger.flac", "Ärger.flac"),
        ("filename=\"plain.flac\"; filename*=utf-7''+AMQ-rger.flac", "plain.flac"),
        ('filename="a; filename*=no.flac"', "a; filename*=no.flac"),
        ("filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("filename*=UTF-8''%FF%00.flac", "�.flac"),
    ],
)
def test_an_extended_filename_is_kept(api: ApiHarness, disposition: str, kept: str) -> None:
    answer = send_form(api, form((f'name="file"; {disposition}', SONG)))
    assert answer.json()["input"]["filename"] == kept


@pytest.mark.parametrize("name", ["a.wv", "a.mpc", "a.ts", "a.asf", "a.ape", "a.sph", "a.thd", "a.txt", "a"])
def test_the_media_type_that_a_client_guesses_does_not_matter(api: ApiHarness, name: str) -> None:
    answer = api.client.post("/v1/jobs", files={"file": (name, SONG)})
    assert answer.status_code == 202
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    answer = api.client.post("/v1/jobs", content=SONG, headers={"Content-Type": guessed})
    assert answer.status_code == 202


def test_an_unknown_job_and_an_unknown_path_are_404(api: ApiHarness) -> None:
    for path in ("/v1/jobs/nobody", "/v1/nothing"):
        answer = api.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.client.put("/v1/jobs").json()["code"] == "method_not_allowed"


def finished(job: Job) -> Job:
    return job.start(worker="w", now=10.0, lease_seconds=9).succeed(1, make_report(), now=11.5)


def test_a_finished_job_shows_its_report_and_has_no_retry_after(api: ApiHarness) -> None:
    api.jobs.add(finished(make_job()))
    answer = api.client.get("/v1/jobs/job-1")
    job = answer.json()
    assert job["state"] == "succeeded"
    assert (job["report"]["verdict"], job["report"]["a4_hz"]) == ("432", 432.04)
    audio = job["report"]["audio"]
    assert audio["codec"] == "MPEG_LAYER_III"
    assert (audio["duration_seconds"], audio["duration_accuracy"]) == (215.4, "exact")
    assert audio["track"] == {"index": 1, "count": 1, "language": None, "title": None, "reason": "only"}
    assert job["finished_at"] == "1970-01-01T00:00:11.500Z"
    assert job["expires_at"] is not None
    assert "retry-after" not in answer.headers
    assert [line["state"] for line in job["timeline"]] == ["queued", "running", "succeeded"]


def test_a_poll_with_the_current_etag_gets_304(api: ApiHarness) -> None:
    api.jobs.add(make_job())
    first = api.client.get("/v1/jobs/job-1")
    assert int(first.headers["retry-after"]) >= 1
    again = api.client.get("/v1/jobs/job-1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    api.jobs.change("job-1", finished)
    changed = api.client.get("/v1/jobs/job-1", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (["*"], 304),
        (['"x", {etag}'], 304),
        (['"x"', "{etag}"], 304),
        (["W/{etag}"], 304),
        (['"x"'], 200),
        (['"x{bare}"'], 200),
        (["{bare}"], 200),
        ([""], 200),
    ],
)
def test_if_none_match_takes_lists_and_a_star(api: ApiHarness, tags: list[str], status: int) -> None:
    api.jobs.add(make_job())
    etag = api.client.get("/v1/jobs/job-1").headers["etag"]
    lines = [("If-None-Match", tag.format(etag=etag, bare=etag.strip('"'))) for tag in tags]
    assert api.client.get("/v1/jobs/job-1", headers=lines).status_code == status


@pytest.mark.parametrize(
    ("params", "headers", "applied"),
    [
        ({"wait": 30}, {}, None),
        ({}, {"Prefer": "wait=30"}, "wait=30"),
        ({"wait": 30}, {"Prefer": "wait=0"}, None),
    ],
)
def test_a_long_poll_ends_with_the_job(
    api: ApiHarness, params: dict[str, int], headers: dict[str, str], applied: str | None
) -> None:
    api.jobs.add(make_job())
    reads = 0
    get = api.jobs.get

    def get_and_finish(job_id: str) -> Job:
        nonlocal reads
        reads += 1
        if reads == 3:
            api.jobs.change("job-1", finished)
        return get(job_id)

    api.jobs.get = get_and_finish  # type: ignore[method-assign]
    response = api.client.get("/v1/jobs/job-1", params=params, headers=headers)
    assert response.json()["state"] == "succeeded"
    assert response.headers.get("preference-applied") == applied


@pytest.mark.parametrize("wait", ["31", "-1", "x"])
def test_a_wait_out_of_bounds_is_refused(api: ApiHarness, wait: str) -> None:
    answer = api.client.get("/v1/jobs/job-1", params={"wait": wait})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert "wait" in answer.json()["detail"]


def test_a_queued_job_shows_its_position(api: ApiHarness) -> None:
    for number in range(3):
        api.jobs.add(make_job(f"job-{number}", queued_at=float(number)))
    assert api.client.get("/v1/jobs/job-2").json()["queue_position"] == 2


def unavailable(*_: Any, **__: Any) -> Any:
    raise Unavailable("The server does not answer; try again later.")


def test_without_a_job_store_uploads_get_503_and_leave_nothing(api: ApiHarness) -> None:
    api.jobs.add = unavailable  # type: ignore[method-assign]
    answer = api.client.post("/v1/jobs", content=SONG)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert stays_clean(api)


def test_without_storage_uploads_get_503_and_leave_nothing(api: ApiHarness) -> None:
    api.audio.put = unavailable  # type: ignore[method-assign]
    assert api.client.post("/v1/jobs", content=SONG).status_code == 503
    assert stays_clean(api)


def test_a_recorded_job_is_accepted_even_if_it_cannot_be_enqueued(api: ApiHarness) -> None:
    api.queue.enqueue = unavailable  # type: ignore[method-assign]
    answer = api.client.post("/v1/jobs", content=SONG)
    assert answer.status_code == 202
    assert answer.json()["id"] in api.jobs.jobs


def test_a_bug_gets_a_problem_without_details(api: ApiHarness) -> None:
    def broken(job_id: str) -> Job:
        raise ZeroDivisionError("secret")

    api.jobs.get = broken  # type: ignore[method-assign]
    answer = api.client.get("/v1/jobs/x")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_readiness_is_ready_degraded_or_unavailable(api: ApiHarness) -> None:
    assert api.client.get("/healthz").json() == {"status": "ok"}
    assert api.client.get("/readyz").json()["status"] == "degraded"
    api.workers.heartbeat(WorkerInfo(name="h:1", host="h", pid=1, started_at=1, seen_at=1))
    assert api.client.get("/readyz").json() == {
        "status": "ready",
        "jobs": True,
        "audio": True,
        "workers": 1,
    }
    api.audio.check = unavailable  # type: ignore[method-assign]
    answer = api.client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


def test_every_response_in_the_openapi_document_is_described(api: ApiHarness) -> None:
    document = api.client.get("/openapi.json").json()
    submit = document["paths"]["/v1/jobs"]["post"]
    assert set(submit["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream"}
    from_url = document["paths"]["/v1/jobs/from-url"]["post"]
    assert set(from_url["requestBody"]["content"]) == {"application/json"}
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and "Ready" not in str(answer):
                    assert set(answer["content"]) == {"application/problem+json"}, (
                        operation["summary"],
                        status,
                    )
    assert "ProblemView" in document["components"]["schemas"]


@pytest.mark.parametrize("way", ["form", "query"])
def test_batch_jobs_have_their_own_queue(api: ApiHarness, way: str) -> None:
    if way == "form":
        answer = api.client.post("/v1/jobs", files={"file": ("a.wav", SONG)}, data={"queue": "batch"})
    else:
        answer = api.client.post("/v1/jobs", params={"queue": "batch"}, content=SONG)
    assert answer.status_code == 202
    assert api.queue.messages == {"batch": [answer.json()["id"]]}
    assert api.jobs.get(answer.json()["id"]).queue == "batch"


def test_an_unknown_queue_is_refused_and_leaves_nothing(api: ApiHarness) -> None:
    form = api.client.post("/v1/jobs", files={"file": ("a.wav", SONG)}, data={"queue": "express"})
    assert (form.status_code, form.json()["code"]) == (400, "bad_request")
    assert api.client.post("/v1/jobs", params={"queue": "express"}, content=SONG).status_code == 422
    assert stays_clean(api)
