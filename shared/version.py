"""The version of Kammerton. `pyproject.toml` and the OpenAPI document take it from here."""

VERSION = "0.1.0"
