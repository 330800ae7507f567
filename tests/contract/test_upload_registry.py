from dataclasses import replace

from shared.ports.uploads import UploadInfo, UploadRegistry

AN_UPLOAD = UploadInfo(
    id="job-1", started_at=1.0, seen_at=2.0, received_bytes=3, declared_bytes=4, filename="söng.mp3"
)


def test_an_upload_that_beats_is_alive_until_it_leaves(uploads: UploadRegistry) -> None:
    other = replace(AN_UPLOAD, id="job-2", started_at=0.5)
    uploads.heartbeat([AN_UPLOAD, other])
    uploads.heartbeat([replace(AN_UPLOAD, received_bytes=9)])
    assert uploads.list_alive() == (other, replace(AN_UPLOAD, received_bytes=9))
    uploads.deregister("job-1")
    uploads.deregister("job-1")
    assert uploads.list_alive() == (other,)


def test_nothing_is_alive_at_first(uploads: UploadRegistry) -> None:
    assert uploads.list_alive() == ()
    uploads.heartbeat([])
