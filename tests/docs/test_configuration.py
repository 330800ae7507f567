"""docs/configuration.md says what shared/settings/ says."""

from shared.settings import Settings
from tools.configuration_docs import TARGET, render


def test_the_configuration_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "Run `make docs`."


def test_every_setting_is_listed_once_and_has_a_description() -> None:
    page = render()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert page.count(f"`KAMMERTON_{name.upper()}`") == 1, name
