"""Hides how a QR code is made by the platform and shown in the terminal or as a picture for print."""

import asyncio
from pathlib import Path

import segno
import typer

from app.assembly import Assembly, make_qr
from app.channels import SendError
from app.channels.wechat.client import LONGEST_QR
from app.cli import threshold
from app.errors import Conflict, Invalid


def show_qr(assembly: Assembly, account_id: int, scene: str, png: Path | None, *, permanent: bool, instead: str) -> None:
    """Make a code that holds `scene` and show it. Raises `Conflict` where the platform refuses; `instead` is what works all the same."""
    try:
        address = asyncio.run(make_qr(assembly, account_id, scene, None if permanent else LONGEST_QR))
    except SendError as refused:
        raise Conflict("qr", f"No QR code, but {instead}. {threshold.platform_says(refused)}") from None
    picture = segno.make(address, error="m")
    if png is None:
        picture.terminal(compact=True)
    else:
        _save(picture, png)
    typer.echo(f"{address}\n{'For ever.' if permanent else 'Valid for 30 days.'}")


def _save(picture: segno.QRCode, png: Path) -> None:
    try:
        picture.save(str(png), kind="png", scale=10, border=4)
    except OSError as refused:
        raise Invalid("file", f"Cannot write {png} ({refused.strerror}); choose another place with --png.") from None
