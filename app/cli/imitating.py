"""`tongban sandbox`: the imitation of WeChat alone. Imports nothing of the service."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import listening
from app.sandbox import create


def sandbox(
    *,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8001,
    data: Annotated[Path, typer.Option(help="Folder for its state.", file_okay=False)] = Path("var"),
) -> None:
    """Start the imitation of WeChat alone, with its phones page.

    Example: tongban sandbox --port 8001 --data var/
    """
    listener = listening.listen("127.0.0.1", port, "--port")
    folder = data / "sandbox"
    typer.echo(f"The sandbox listens on http://127.0.0.1:{port}, its phones on http://127.0.0.1:{port}/phones; Ctrl-C stops it.")
    typer.echo(f"A service that shall follow its clock gets TONGBAN_CLOCK_FILE={folder.absolute() / 'clock'}")
    listening.serve(listening.configure(create(folder), "WARNING"), listener)
