"""What the browser tests do on every page."""

import base64
import time
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support.seed_data import dead_job, job_store
from tests.support.system import System

OPERATOR, VIEWER = "let me work", "let me look"
TIMEOUT_MS = 60_000


def log_in(page: Page, password: str) -> None:
    page.goto("/admin")
    page.get_by_label("Your name, for the audit log").fill("Ann")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin")


def post_form(page: Page, path: str, **form: str) -> int:
    sent = page.request.post(path, form={**form}, headers={"Sec-Fetch-Site": "same-origin"}, max_redirects=0)
    return sent.status


def pause(page: Page, queue: str) -> None:
    assert post_form(page, f"/admin/queues/{queue}", action="pause") == 303


def resume(page: Page, queue: str) -> None:
    assert post_form(page, f"/admin/queues/{queue}", action="resume") == 303


def wav_file(name: str, audio: bytes) -> Any:
    return {"name": name, "mimeType": "audio/wav", "buffer": audio}


def drop_file(page: Page, name: str, audio: bytes) -> None:
    """What a browser does when somebody drops a file on the page."""
    page.evaluate(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
            for (const type of ["dragenter", "dragover", "drop"])
                document.querySelector("#drop").dispatchEvent(
                    new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        [name, base64.b64encode(audio).decode()],
    )


def seed_dead_jobs(system: System, *ids: str) -> None:
    with job_store(system) as jobs:
        for job_id in ids:
            jobs.add(dead_job(job_id, at=time.time() - 60, filename=f"{job_id}.m4a"))


def page_width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


def axe_problems(axe: Axe, page: Page) -> list[str]:
    violations = axe.run(page).response["violations"]
    return [
        f"{page.url}: {one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
        for one in violations
        if one["impact"] in {"serious", "critical"}
    ]
