"""The start page: from a file to its tuning."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser_pages import (
    drop_file,
    resume,
    wav_file,
)
from tests.support.music import make_song


def test_a_dropped_song_gets_its_tuning(page: Page) -> None:
    page.goto("/")
    drop_file(page, "Autumn.wav", make_song(432.0, seconds=8))
    expect(page.locator(".answer .pitch .value")).to_have_text(re.compile(r"43[12]\.\d"))
    expect(page.locator(".answer .sentence")).to_have_text("Tuned a third of a semitone below concert pitch.")
    expect(page.locator(".picture svg")).to_have_count(2)
    expect(page.locator("#announce")).to_contain_text("Autumn.wav")
    expect(page.locator("#announce")).to_contain_text("below concert pitch")


def test_several_songs_are_analyzed_and_survive_a_reload(page: Page) -> None:
    page.goto("/")
    page.set_input_files(
        "input[type=file]",
        [wav_file("one.wav", make_song(440.0, seconds=6)), wav_file("two.wav", make_song(445.0, seconds=6))],
    )
    expect(page.locator(".answer .pitch")).to_have_count(2)
    page.reload()
    expect(page.locator(".answer .pitch")).to_have_count(2)
    expect(page.locator(".song .name")).to_have_text(["two.wav", "one.wav"])


def test_a_file_without_audio_gets_an_explanation(page: Page) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("text.wav", b"RIFF" + b"no music at all" * 40)])
    expect(page.locator(".answer.error, .going .status").first).to_contain_text(
        re.compile("can’t analyze|no audio|No decoder|audio")
    )


def test_a_waiting_job_shows_its_position_until_its_result(
    page: Page, operator: Page, paused_queue: None
) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("wait.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status")).to_have_text("Next in line.")
    page.set_input_files("input[type=file]", [wav_file("after.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status").first).to_have_text("Waiting. 1 song is ahead of this one.")
    resume(operator, "interactive")
    expect(page.locator(".answer .pitch")).to_have_count(2)


def test_a_waiting_job_is_canceled(page: Page, paused_queue: None) -> None:
    page.goto("/")
    page.set_input_files("input[type=file]", [wav_file("no.wav", make_song(440.0, seconds=5))])
    expect(page.locator(".going .status")).to_have_text("Next in line.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".answer .sentence")).to_have_text("Canceled")


def test_the_page_polls_if_events_do_not_get_through(page: Page) -> None:
    page.route("**/events", lambda route: route.fulfill(status=502, body="a proxy's page"))
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
    expect(page.locator(".going .status")).to_have_text("Next in line.")
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
