"""`make screenshots`: each page in light, dark and at 390 px, of a system of its own, to docs/screenshots."""

import io
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import running_browser
from tests.support.music import make_song
from tests.support.seed_data import (
    dead_job,
    job_store,
    seed_an_hour_of_jobs,
    seed_batch,
    seed_failed_webhook,
)
from tests.support.system import System, running_system

LOOKS = (("light", "light", 1280), ("dark", "dark", 1280), ("phone", "light", 390))
TARGET = Path(__file__).parents[1] / "docs" / "screenshots"
OPERATOR = "screenshots"
BATCH = "Bt4rT0pQ2mXk9sV1bLw3Ag"
ENDPOINT = "ep_7rT0pQ2mXk9sV1bL"
ACTS = ("pause", "resume")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_system(Path(folder) / "data", KAMMERTON_ADMIN_PASSWORD=OPERATOR) as system,
        running_browser() as browser,
    ):
        song, noise, dead = prepare(system)
        pages = {
            "start": "/",
            "result": f"/jobs/{song}",
            "inconclusive": f"/jobs/{noise}",
            "songs": "/",
            "card": f"/jobs/{song}/card.png",
            "api": "/docs",
            "guide": "/docs/quickstart",
            "login": "/admin/login",
            "overview": "/admin",
            "history": "/admin/history",
            "jobs": "/admin/jobs",
            "scheduled": "/admin/scheduled",
            "dead": "/admin/dead",
            "batches": "/admin/batches",
            "batch": f"/admin/batches/{BATCH}",
            "webhooks": "/admin/webhooks",
            "webhook": f"/admin/webhooks/{ENDPOINT}",
            "job": f"/admin/jobs/{dead}",
            "job-report": f"/admin/jobs/{song}",
            "keys": "/admin/keys",
            "audit": "/admin/audit",
        }
        wanted = set(sys.argv[1:])
        for look, scheme, width in LOOKS:
            for name, path in pages.items():
                if name == "card" and look != "light":
                    continue  # it looks the same everywhere
                if not wanted or name in wanted:
                    taken.append(shoot(browser, system, name, path, look=look, scheme=scheme, width=width))
    shrink(taken)


def shrink(files: list[Path]) -> None:
    """256 colors: less than half of the size, and no difference to the eye."""
    for file in files:
        with Image.open(file) as image:
            small = image.convert("RGB").quantize(
                256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
            )
        small.save(file, optimize=True)


def prepare(system: System) -> tuple[str, str, str]:
    """A song, a noise and a dead job, in front of an hour of others."""
    with job_store(system) as jobs:
        seed_an_hour_of_jobs(jobs)
        jobs.add(dead_job("Dd7rT0pQ2mXk9sV1bLw3Ag", at=time.time() - 400, filename="strange container.m4a"))
        jobs.add(dead_job("Zk2rT0pQ2mXk9sV1bLw3Bh", at=time.time() - 900, filename="fuzz-4711.mp4"))
    seed_failed_webhook(system, "Dd7rT0pQ2mXk9sV1bLw3Ag", ENDPOINT)
    seed_batch(system, BATCH)
    ids = []
    for name, audio in (("Autumn in Ghent.wav", make_song(432.0)), ("a long breath.wav", make_noise())):
        answer = system.client.post("/v1/jobs", files={"file": (name, audio, "audio/wav")})
        ids.append(answer.json()["id"])
        system.finished(answer.headers["location"])
    return ids[0], ids[1], "Dd7rT0pQ2mXk9sV1bLw3Ag"


def make_noise() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(3).standard_normal(8 * 44_100), 44_100, format="WAV")
    return file.getvalue()


def shoot(
    browser: Browser, system: System, name: str, path: str, *, look: str, scheme: str, width: int
) -> Path:
    context = browser.new_context(
        base_url=str(system.client.base_url),
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 844 if width < 500 else 800},
        device_scale_factor=1,
        reduced_motion="reduce",
    )
    page = context.new_page()
    if path.startswith("/admin") and path != "/admin/login":
        log_in(page)
        for act in ACTS:  # entries for the audit log
            headers = {"Sec-Fetch-Site": "same-origin"}
            page.request.post("/admin/queues/batch", form={"action": act}, headers=headers)
    page.goto(path)
    if name == "songs":
        files = [("Allemande.wav", 432.0), ("Bourrée.wav", 440.0), ("Courante.wav", 444.0)]
        upload(page, [(title, make_song(a4_hz, seconds=5)) for title, a4_hz in files])
    page.wait_for_timeout(6000 if name == "api" else 600)
    file = TARGET / f"{name}-{look}.png"
    page.screenshot(path=file, full_page=name not in {"jobs", "api"})
    context.close()
    return file


def upload(page: Page, files: list[tuple[str, bytes]]) -> None:
    """Upload songs and wait for the results of all."""
    payloads: Any = [{"name": name, "mimeType": "audio/wav", "buffer": audio} for name, audio in files]
    page.set_input_files("input[type=file]", payloads)
    expect(page.locator("#results tbody tr")).to_have_count(len(files), timeout=60_000)


def log_in(page: Page) -> None:
    page.goto("/admin/login")
    page.fill("input[name=name]", "Ann")
    page.fill("input[name=password]", OPERATOR)
    page.click("main button")


if __name__ == "__main__":
    main()
