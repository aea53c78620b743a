"""`tongban rewrap-keys`: takes a new master key into use."""

import typer

from app import audit, clock
from app.cli import desk
from app.db import Tx


def rewrap_keys() -> None:
    """Wrap every data key under the present master key, so that TONGBAN_PREVIOUS_MASTER_KEY can be taken away.

    Example: tongban rewrap-keys
    """
    with desk.at_work() as assembly:

        def work(tx: Tx) -> int:
            wrapped = assembly.tools.keyring.rewrap(tx)
            audit.record(tx, clock.now(), "operator", "keys.rewrap", "data_keys", count=wrapped)
            return wrapped

        count = assembly.database.write_now(work)
    typer.echo(f"{count} data keys are wrapped anew. TONGBAN_PREVIOUS_MASTER_KEY is needed only for older backups now.")
