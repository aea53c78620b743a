"""For the tests of delivery: logs go where this test looks, whatever an earlier one has set up."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _logs_of_this_test() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
