"""docs/configuration.md says what shared/settings/ says."""

import re

from shared.settings import Settings
from tests.docs.test_links import PAGES, ROOT
from tools.configuration_docs import TARGET, render

COMPOSE_VARIABLES = {
    "KAMMERTON_PUBLISH",
    "KAMMERTON_REDIS_URL",
    "KAMMERTON_VALKEY_PASSWORD",
    "KAMMERTON_S3_ACCESS_KEY",
    "KAMMERTON_S3_SECRET_KEY",
    "KAMMERTON_TUNING_CORPUS",
}
"""Variables that docker-compose.yml and the tests read themselves."""


def test_the_configuration_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "Run `make docs`."


def test_every_setting_is_listed_once_and_has_a_description() -> None:
    page = render()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert page.count(f"`KAMMERTON_{name.upper()}`") == 1, name


def test_every_setting_in_the_documentation_exists() -> None:
    known = {f"KAMMERTON_{name.upper()}" for name in Settings.model_fields} | COMPOSE_VARIABLES
    known |= {
        f"KAMMERTON_{name.upper()}_FILE" for name, field in Settings.model_fields.items() if not field.repr
    }
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # names earlier versions
            named = set(re.findall(r"KAMMERTON_[A-Z0-9_]*[A-Z0-9]", page.read_text()))
            assert named <= known, f"{page.relative_to(ROOT)} names {sorted(named - known)}"
