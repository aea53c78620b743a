"""For the tests of the API: calls are counted as in production only where that is what a test is about."""

import pytest

from app.integrations import calls


@pytest.fixture
def strict_counting() -> None:
    """For a test of the limit itself."""


@pytest.fixture(autouse=True)
def _many_calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a table of a few hundred inputs would come to an end after a minute's worth."""
    if "strict_counting" not in request.fixturenames:
        monkeypatch.setattr(calls, "CALLS_A_MINUTE", 10**6)
