"""The commands of the guides in docs/, run as they are written."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.version import VERSION
from tests.support.audio_files import audio_file
from tests.support.system import running_system

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOME = "http://127.0.0.1:8000"
PAGES = ("command-line.md", "quickstart.md", "authentication.md", "pagination.md", "limits.md", "versions.md")
OPERATOR = "an operator of the test"
EXPECTED = {
    "command-line.md": "Probability",
    "quickstart.md": '"verdict": "',
    "authentication.md": '"',
    "pagination.md": "\n",
    "limits.md": 'ratelimit: "requests";r=',
    "versions.md": VERSION,
}
"""What a page's commands print, among other things."""


def commands(page: str) -> str:
    """All commands of a page, as one script: later ones use the files of earlier ones."""
    text = (DOCS / page).read_text()
    blocks = re.findall(r"^( *)<!-- run -->\n *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    assert blocks, f"{page} has no commands"
    assert len(blocks) == text.count("<!-- run -->")
    return "\n".join(re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a running system with some jobs, and their API key."""
    folder = tmp_path_factory.mktemp("guides")
    settings = {"KAMMERTON_ADMIN_PASSWORD": OPERATOR, "KAMMERTON_RATE_LIMITS_ENABLED": "true"}
    with running_system(folder / "data", **settings) as system:
        browser = {"Sec-Fetch-Site": "same-origin"}
        system.client.post("/admin/login", data={"password": OPERATOR}, headers=browser)
        made = system.client.post(
            "/admin/api/keys",
            json={"name": "guides", "scopes": ["jobs:read", "jobs:write"]},
            headers=browser,
        )
        assert made.status_code == 201, made.text
        key = str(made.json()["token"])
        for _ in range(3):
            system.submit(audio_file("flac", seconds=2.0), Authorization=f"Bearer {key}")
        yield str(system.client.base_url).rstrip("/"), key


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_guide_work(page: str, service: tuple[str, str], tmp_path: Path) -> None:
    address, key = service
    (tmp_path / "song.mp3").write_bytes(audio_file("mp3-cbr", seconds=3.0))
    script = commands(page).replace(HOME, address)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": f"{ROOT / 'cli'}:/usr/bin:/bin", "KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert EXPECTED[page] in ran.stdout
