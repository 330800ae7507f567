"""docs/formats.md says what the decoders do."""

from tools.formats_docs import TARGET, render


def test_the_page_of_formats_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "Run `make docs`."
