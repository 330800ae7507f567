"""Session cookies and passwords."""

from api.admin.auth.sessions import Sessions
from tests.support.fakes.admin import MemorySecretStore


def test_a_session_ends_when_its_password_changes() -> None:
    store = MemorySecretStore()
    old = Sessions(store, operator_password="one", viewer_password=None)
    cookie = old.log_in("one", name="Ann\u202e")
    assert cookie is not None
    session = old.read(cookie)
    assert session is not None
    assert (session.role, session.name) == ("operator", "Ann")
    new = Sessions(store, operator_password="two", viewer_password=None)
    assert new.read(cookie) is None


def test_a_session_expires() -> None:
    sessions = Sessions(
        MemorySecretStore(), operator_password="one", viewer_password=None, session_seconds=-1
    )
    cookie = sessions.log_in("one", name="Ann")
    assert cookie is not None
    assert sessions.read(cookie) is None


def test_a_viewers_cookie_never_reads_as_an_operators() -> None:
    sessions = Sessions(MemorySecretStore(), operator_password="one", viewer_password="two")
    cookie = sessions.log_in("two", name="operator")
    assert cookie is not None
    session = sessions.read(cookie)
    assert session is not None
    assert session.role == "viewer"


def test_a_missing_operator_password_is_generated_and_printed_once() -> None:
    store = MemorySecretStore()
    printed: list[str] = []
    for _ in range(2):
        sessions = Sessions(store, operator_password=None, viewer_password=None, announce=printed.append)
        sessions.prepare()
    assert len(printed) == 1
    password = printed[0].split(" is ")[1].split()[0]
    assert password not in str(store.kept)
    assert sessions.log_in(password, name="") is not None
    assert sessions.log_in("", name="") is None
    assert sessions.log_in("None", name="") is None


def test_an_operator_with_a_password_of_their_own_can_use_no_other_name() -> None:
    sessions = Sessions(
        MemorySecretStore(),
        operator_password="shared",
        viewer_password="look",
        operators={"ann": "one", "bob": "two"},
    )

    def user(name: str, password: str) -> tuple[str, str] | None:
        cookie = sessions.log_in(password, name=name)
        session = sessions.read(cookie) if cookie else None
        return (str(session.role), session.name) if session else None

    assert user("ann", "one") == ("operator", "ann")
    assert user(" bob ", "two") == ("operator", "bob")
    for name, password in (("ann", "two"), ("carl", "one"), ("", "one"), ("ann", "shared"), ("ann", "")):
        assert user(name, password) is None
    assert user("ann", "look") == ("viewer", "ann")


def test_a_changed_account_ends_the_sessions_of_operators() -> None:
    store = MemorySecretStore()

    def sessions(**operators: str) -> Sessions:
        return Sessions(store, operator_password=None, viewer_password=None, operators=operators)

    cookie = sessions(ann="one").log_in("one", name="ann")
    assert cookie is not None
    assert sessions(ann="one").read(cookie) is not None
    assert sessions(ann="other").read(cookie) is None
    assert sessions(bob="one").read(cookie) is None
    assert "operator-password" not in store.kept  # none is generated where there are accounts
