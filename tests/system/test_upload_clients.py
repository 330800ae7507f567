"""The examples of docs/uploads.md, run as they stand there: real clients, real songs, the right verdict."""

import hashlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import soundfile
from playwright.sync_api import Browser, Page, Route

from tests.support.audio_files import encoded
from tests.support.music import make_song
from tests.support.system import ALLOWED_ORIGIN, System

DOCS = Path(__file__).parents[2] / "docs" / "uploads.md"
EXAMPLES = dict(re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", DOCS.read_text(), re.DOTALL))
OF_PAGES = sorted(name for name in EXAMPLES if name.endswith(".js"))
OF_SHELLS = sorted(EXAMPLES.keys() - set(OF_PAGES))
HOME = "http://127.0.0.1:8000"
SONGS = {
    "song.m4a": "m4a",
    "song.mp3": "mp3-cbr",
    "song.flac": "flac",
    "song.ogg": "ogg-vorbis",
    "song.wav": "wav-float",  # of several parts
}
JS = Path(__file__).parent / "tus_client.mjs"
PAGE = "<!doctype html><title>Somebody's page</title><input type=file>"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    sound, rate = soundfile.read(io.BytesIO(make_song(432.0, seconds=25)), dtype="float32", always_2d=True)
    for name, kind in SONGS.items():
        (folder / name).write_bytes(encoded(kind, sound, rate=rate))
    return folder


def home(system: System) -> str:
    """The origin of its API."""
    return str(system.client.base_url).rstrip("/")


def is_432(system: System, said: str, *, sent: Path | None = None) -> None:
    """The job that a client created succeeds; where the API could see the bytes, they are the song's."""
    found = re.findall(r"/v1/jobs/[\w-]+", said)
    assert found, said
    job = system.finished(found[-1])
    assert job["state"] == "succeeded", job["problem"]
    assert job["report"]["verdict"] == "432"
    if sent is not None:
        assert job["input"]["bytes"] == sent.stat().st_size
        digest = job["input"]["sha256"]
        assert digest is None or digest == hashlib.sha256(sent.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", OF_SHELLS)
def test_an_example_for_a_shell_or_python_uploads_a_song(
    system: System, songs: Path, name: str, tmp_path: Path
) -> None:
    example = EXAMPLES[name].replace(HOME, home(system))
    script = tmp_path / name
    script.write_text(example)
    program = {".sh": ["bash", "-eu"], ".py": [sys.executable, "-W", "error"]}[script.suffix]
    ran = subprocess.run([*program, str(script)], cwd=songs, text=True, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "ResourceWarning" not in ran.stderr  # raised where nobody can catch it, so -W error only prints it
    (song,) = (song for song in SONGS if song in example)
    is_432(system, ran.stdout, sent=songs / song)


def test_tus_js_client_in_node_uploads_a_song(system: System, songs: Path, node_modules: Path) -> None:
    song = songs / "song.wav"
    command = ["node", str(JS), str(node_modules), f"{home(system)}/v1/tus", str(song), str(3_000_000)]
    url = subprocess.check_output(command, text=True, timeout=120)
    is_432(system, url.replace("/v1/tus/", "/v1/jobs/"), sent=song)


@contextmanager
def serve_page(browser: Browser, origin: str) -> Iterator[Page]:
    """A page of that origin, wherever it came from."""

    def serve(route: Route) -> None:
        route.fulfill(body=PAGE, content_type="text/html")

    with browser.new_context() as context:
        page = context.new_page()
        page.route(f"{origin}/somebodys", serve)
        page.goto(f"{origin}/somebodys")
        yield page


@pytest.mark.parametrize("origin", [ALLOWED_ORIGIN, "its own"])
@pytest.mark.parametrize("name", OF_PAGES)
def test_an_example_for_a_page_uploads_a_song_in_a_browser(
    system: System, songs: Path, node_modules: Path, browser: Browser, name: str, origin: str
) -> None:
    song = songs / ("song.wav" if name.startswith("direct") else "song.m4a")
    with serve_page(browser, home(system) if origin == "its own" else origin) as page:
        page.add_script_tag(path=node_modules / "node_modules" / "tus-js-client" / "dist" / "tus.min.js")
        page.set_input_files("input", song)
        page.add_script_tag(content=EXAMPLES[name].replace(HOME, home(system)))
        (function,) = re.findall(r"function (upload\w*)", EXAMPLES[name])
        said = page.evaluate(f"{function}(document.querySelector('input').files[0])")
    assert urlsplit(said).path == said
    is_432(system, said, sent=song)


def test_a_page_of_another_origin_cannot_upload(system: System, songs: Path, browser: Browser) -> None:
    complaints: list[str] = []
    with serve_page(browser, "http://others.localhost:1") as page:
        page.on("console", lambda said: complaints.append(said.text))
        page.set_input_files("input", songs / "song.m4a")
        page.add_script_tag(content=EXAMPLES["fetch.js"].replace(HOME, home(system)))
        said = page.evaluate("upload(document.querySelector('input').files[0]).catch(String)")
    assert said == "TypeError: Failed to fetch"
    assert any("blocked by CORS policy" in complaint for complaint in complaints)
