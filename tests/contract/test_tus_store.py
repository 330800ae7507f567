from dataclasses import replace

import pytest

from shared.errors import NotFound
from shared.ports.uploads import Remainder, TusUpload, TusUploadStore

AN_UPLOAD = TusUpload(id="job-1", metadata="filename c8O2bmc=", lock_owner="a")
A_TAIL = Remainder(key="job-1.tail-x", after_parts=3, size_bytes=17)


def test_an_upload_is_stored_until_it_is_removed(resumables: TusUploadStore) -> None:
    resumables.add(AN_UPLOAD)
    assert resumables.get("job-1") == AN_UPLOAD
    resumables.remove("job-1")
    resumables.remove("job-1")
    with pytest.raises(NotFound):
        resumables.get("job-1")


def test_only_the_last_lock_owner_writes_a_remainder(resumables: TusUploadStore) -> None:
    resumables.add(AN_UPLOAD)
    assert resumables.acquire("job-1", lock_owner="b") == replace(AN_UPLOAD, lock_owner="b")
    assert not resumables.save_progress("job-1", lock_owner="a", remainder=A_TAIL, verified_parts=None)
    assert resumables.get("job-1").remainder is None
    assert resumables.save_progress("job-1", lock_owner="b", remainder=A_TAIL, verified_parts=None)
    assert resumables.acquire("job-1", lock_owner="c") == replace(AN_UPLOAD, lock_owner="c", remainder=A_TAIL)
    assert resumables.save_progress("job-1", lock_owner="c", remainder=None, verified_parts=None)
    assert resumables.get("job-1").remainder is None


def test_an_unknown_upload_is_not_found(resumables: TusUploadStore) -> None:
    with pytest.raises(NotFound):
        resumables.acquire("nobody", lock_owner="a")
    assert not resumables.save_progress("nobody", lock_owner="a", remainder=A_TAIL, verified_parts=None)
    with pytest.raises(NotFound):
        resumables.get("nobody")


def test_the_number_of_verified_parts_comes_back(resumables: TusUploadStore) -> None:
    resumables.add(replace(AN_UPLOAD, verified_parts=2))
    assert resumables.get("job-1").verified_parts == 2
    for parts in (0, 3, None):
        assert resumables.save_progress("job-1", lock_owner="a", remainder=None, verified_parts=parts)
        assert resumables.acquire("job-1", lock_owner="a").verified_parts == parts
