from dataclasses import replace

from shared.ports.uploads import UploadInfo, UploadRegistry

AN_UPLOAD = UploadInfo(
    id="job-1", started_at=1.0, seen_at=2.0, received_bytes=3, declared_bytes=4, filename="söng.mp3"
)


def test_an_upload_with_heartbeats_is_listed_until_it_is_deregistered(uploads: UploadRegistry) -> None:
    other = replace(AN_UPLOAD, id="job-2", started_at=0.5)
    uploads.heartbeat([AN_UPLOAD, other])
    uploads.heartbeat([replace(AN_UPLOAD, received_bytes=9)])
    assert uploads.list_alive() == (other, replace(AN_UPLOAD, received_bytes=9))
    uploads.deregister("job-1")
    uploads.deregister("job-1")
    assert uploads.list_alive() == (other,)


def test_an_empty_registry_lists_nothing(uploads: UploadRegistry) -> None:
    assert uploads.list_alive() == ()
    uploads.heartbeat([])
