"""`tongban keys | rewrap-keys`: makes the keys that are not in the database, and takes a new master key into use."""

import base64
import secrets

import typer

from app import audit, clock
from app.cli import desk
from app.db import Tx


def keys() -> None:
    """Print a fresh master key and index key for .env; keep them outside the database and its backups.

    Example: tongban keys >> .env
    """
    for name in ("TONGBAN_MASTER_KEY", "TONGBAN_INDEX_KEY"):
        typer.echo(f"{name}={new_key()}")


def new_key() -> str:
    """32 random bytes in base64, as the settings take them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


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
