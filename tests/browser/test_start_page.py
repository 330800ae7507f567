"""The start page: from a file to its tuning."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.audio_files import audio_file
from tests.support.browser_pages import (
    drop_file,
    resume,
    wav_file,
)
from tests.support.music import make_song
from tests.support.system import System

PAUSED = "The queue is paused. Your song starts when it resumes."


def test_a_dropped_song_gets_its_tuning(page: Page) -> None:
    page.goto("/")
    drop_file(page, "Autumn.wav", make_song(432.0, seconds=8))
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
    expect(page.locator(".answer .sentence")).to_contain_text("432")
    expect(page.locator(".picture svg")).to_have_count(2)
    expect(page.locator("#announce")).to_contain_text("Autumn.wav")
    expect(page.locator("#announce")).to_contain_text("432")


def test_the_charts_show_the_value_under_the_pointer(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("values.wav", make_song(432.0, seconds=8))])
    spectrum = page.locator(".picture", has=page.get_by_role("heading", name="Spectrum"))
    spectrum.scroll_into_view_if_needed()
    under_the_pointer = """(svg) => {
        const box = svg.getBoundingClientRect();
        const point = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return point.querySelector("title")?.textContent;
    }"""
    assert re.fullmatch(r"\d+ Hz: −?\d+ dB", spectrum.locator("svg").evaluate(under_the_pointer))


def test_numbers_and_times_are_in_the_browsers_format(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(locale="de-DE", timezone_id="Europe/Berlin").new_page()
    page.goto("/")
    songs = [wav_file(f"{name}.wav", make_song(432.0, seconds=6)) for name in ("eins", "zwei")]
    page.set_input_files("input[type=file]", songs)
    expect(page.locator(".answer .pitch .value:visible")).to_have_text(re.compile(r"^43[12],\d$"))
    expect(page.get_by_role("button", name=re.compile(r"Play its A, 43[12],\d Hz"))).to_be_visible()
    expect(page.locator("#results tbody tr")).to_have_count(2)
    expect(page.locator("#results tbody td").first).to_have_text(re.compile(r"^43[12],\d Hz ± \d,\d$"))
    expect(page.locator(".song time:visible")).to_have_text(re.compile(r"\d\d\.\d\d\.\d{4}, \d\d:\d\d:\d\d"))


def test_several_songs_are_analyzed_and_survive_a_reload(page: Page) -> None:
    page.goto("/")
    page.set_input_files(
        "input[type=file]",
        [wav_file("one.wav", make_song(440.0, seconds=6)), wav_file("two.wav", make_song(445.0, seconds=6))],
    )
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(2)
    page.reload()
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="two.wav")).to_have_count(1)
    rows.get_by_role("button", name="one.wav").click()
    expect(page.locator(".song .name:visible")).to_have_text(["one.wav"])
    with page.expect_download() as csv:
        page.get_by_role("button", name="Download CSV").click()
    lines = csv.value.path().read_text().splitlines()
    assert lines[0] == "name,a4_hz,uncertainty_hz,verdict,confidence,drift_cents"
    assert sorted(line.split(",")[0] for line in lines[1:]) == ['"one.wav"', '"two.wav"']
    with page.expect_download() as exported:
        page.get_by_role("button", name="Download JSON").click()
    names = [job["input"]["filename"] for job in json.loads(exported.value.path().read_text())]
    assert sorted(names) == ["one.wav", "two.wav"]
    page.get_by_role("button", name="Clear this list").click()
    page.reload()
    expect(page.locator(".song")).to_have_count(0)


def test_every_tab_of_a_browser_has_its_songs(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("shared.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    other = page.context.new_page()
    other.goto("/")
    expect(other.locator(".song .name")).to_have_text(["shared.wav"])
    expect(other.locator(".answer .pitch")).to_be_visible()


def test_a_file_without_audio_gets_an_explanation(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("text.wav", b"RIFF" + b"no music at all" * 40)])
    expect(page.locator(".answer.error, .in-progress .status").first).to_contain_text(
        re.compile("can’t analyze|no audio|No decoder|audio")
    )


def test_a_job_in_a_paused_queue_says_so_until_its_result(
    page: Page, operator: Page, paused_queue: None
) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("wait.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".in-progress .status")).to_have_text(PAUSED)
    page.set_input_files("input[type=file]", [wav_file("after.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".in-progress .status").first).to_have_text(PAUSED)
    resume(operator, "interactive")
    expect(page.locator("#results tbody tr")).to_have_count(2)


def test_more_songs_than_a_browser_has_connections_are_uploaded_and_awaited(
    page: Page, operator: Page, paused_queue: None
) -> None:
    page.goto("/")
    songs = [wav_file(f"{number}.wav", make_song(440.0, seconds=3, seed=number)) for number in range(9)]
    page.set_input_files("input[type=file]", songs)
    expect(page.locator(".in-progress .status")).to_have_text([PAUSED] * 9)  # over HTTP/1.1: six connections
    another = page.context.new_page()
    another.goto("/docs")
    resume(operator, "interactive")
    expect(page.locator("#results tbody tr")).to_have_count(9)


def test_a_waiting_job_is_canceled(page: Page, paused_queue: None) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("no.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".in-progress .status")).to_have_text(PAUSED)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".answer .sentence")).to_have_text("Canceled")


def test_the_page_polls_if_events_do_not_get_through(page: Page) -> None:
    page.route("**/v1/events?*", lambda route: route.fulfill(status=502, body="a proxy's page"))
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("poll.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()


def test_the_form_and_the_result_work_without_javascript(
    open_context: Callable[..., BrowserContext], operator: Page, paused_queue: None
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("plain.wav", make_song(432.0, seconds=5))])
    page.get_by_role("button", name="Analyze").click()
    expect(page.locator(".in-progress .status")).to_have_text(PAUSED)
    resume(operator, "interactive")
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))


def test_the_keyboard_is_enough_to_choose_a_song_and_play_its_tone(page: Page) -> None:
    page.on("filechooser", lambda _: None)  # from now on none opens that a test could not answer
    page.goto("/")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "file":
            break
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([wav_file("keys.wav", make_song(432.0, seconds=5))])
    tone = page.get_by_role("button", name=re.compile("Play its A"))
    tone.focus()
    page.keyboard.press("Space")
    expect(tone).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(tone).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_answer_is_visible_without_scrolling(
    open_context: Callable[..., BrowserContext], width: int, height: int
) -> None:
    page = open_context(viewport={"width": width, "height": height}).new_page()
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("first.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .sentence")).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0
    expect(page.locator(".answer .pitch")).to_be_in_viewport(ratio=1)


def test_the_own_file_is_played_retuned(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("mine.wav", make_song(432.0, seconds=5))])
    page.get_by_role("button", name="Retuned to 440 Hz").click()
    audio = page.locator(".player audio")
    expect(audio).to_have_js_property("preservesPitch", False)
    assert audio.evaluate("(audio) => audio.playbackRate") == pytest.approx(440 / 432, abs=0.001)
    assert audio.evaluate("(audio) => !audio.paused || audio.ended")


def test_another_part_of_a_song_is_analyzed(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("parts.wav", make_song(432.0, seconds=8))])
    part = page.locator(".another-part")
    part.get_by_role("spinbutton").fill("3")
    part.get_by_role("button", name="Analyze").click()
    expect(page.locator("#results tbody tr")).to_have_count(2)


def test_a_song_is_deleted_from_the_server(page: Page, system: System) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("gone.wav", make_song(432.0, seconds=5))])
    expect(page.locator(".answer .pitch")).to_be_visible()
    job = page.locator(".song").get_attribute("data-job")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete from server").click()
    expect(page.locator(".song")).to_have_count(0)
    assert system.client.get(f"/v1/jobs/{job}").status_code == 404


def test_files_that_are_not_audio_are_rejected_in_plain_words(page: Page) -> None:
    page.goto("/")
    text: Any = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
    page.set_input_files("input[type=file]", [text])
    card = page.locator(".song.rejected")
    expect(card.locator(".status")).to_have_text("This is not an audio file. Choose an audio or video file.")


def test_a_rejected_link_stays_in_its_field_with_https(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Or paste a link").fill("localhost/song.mp3")
    page.locator(".link button").click()
    expect(page.locator(".song.rejected .status")).to_contain_text("We can’t fetch this address.")
    expect(page.get_by_label("Or paste a link")).to_have_value("https://localhost/song.mp3")


def test_an_incomplete_file_says_so_in_a_sentence_of_its_own(page: Page) -> None:
    page.goto("/")
    whole = audio_file("m4a")
    half: Any = {"name": "half.m4a", "mimeType": "audio/mp4", "buffer": whole[: len(whole) // 2]}
    page.set_input_files("input[type=file]", [half])
    expect(page.locator(".answer.error .more")).to_have_text(
        "The file is incomplete: its end is missing, and with it the index. Upload the whole file."
    )


def test_a_dropped_folder_is_rejected_in_plain_words(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "An album"
    folder.mkdir()
    (folder / "song.wav").write_bytes(make_song(432.0, seconds=5))
    page.goto("/")
    mouse = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 500, "data": dragged})
    card = page.locator(".song.rejected")
    expect(card.locator(".name")).to_have_text("An album")
    expect(card.locator(".status")).to_have_text("This is a folder. Open it and drop the songs inside.")
