"""`tongban keys`: makes the keys that are not in the database. Imports little."""

import base64
import secrets

import typer


def keys() -> None:
    """Print a fresh master key and index key for .env; keep them outside the database and its backups.

    Example: tongban keys >> .env
    """
    for name in ("TONGBAN_MASTER_KEY", "TONGBAN_INDEX_KEY"):
        typer.echo(f"{name}={new_key()}")


def new_key() -> str:
    """32 random bytes in base64, as the settings take them."""
    return base64.b64encode(secrets.token_bytes(32)).decode()
