"""For the tests of the console: passwords are hashed as in production only where that is what a test is about."""

import pytest

from app.console import passwords
from tests.console.visiting import QUICK


@pytest.fixture
def dear_hashes() -> None:
    """For a test of the hashes themselves: they cost what they cost in production."""


@pytest.fixture(autouse=True)
def _quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every sign-in would take a tenth of a second and 64 MiB."""
    if "dear_hashes" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_HASHER", QUICK)
        monkeypatch.setattr(passwords, "NOBODYS", QUICK.hash("of a password that nobody has"))
