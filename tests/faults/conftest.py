"""What every fault run uses: a nursery of processes that starts once, and the seed."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.faults.processes import Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """The forking parent of this test process."""
    with Nursery(tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture
def seed() -> int:
    """Drives every choice of a run. TONGBAN_FAULT_SEED plays one again; else each run has its own, and a failure tells it."""
    given = os.environ.get("TONGBAN_FAULT_SEED")
    chosen = int(given) if given else secrets.randbelow(10**9)
    print(f"TONGBAN_FAULT_SEED={chosen}")
    return chosen
