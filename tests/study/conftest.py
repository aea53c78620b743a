"""A database for all tests of a file that only read what came of it, once on each of the two."""

import shutil
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated, empty database of this file's own."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("shared") / "tongban.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("postgres_databases").migrated() as url:
        yield url
