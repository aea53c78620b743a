"""`tongban run | web`: what phones and WeChat reach."""

from app.cli import desk
from app.cli.listening import configure, listen, serve
from app.main import create_app


def run() -> None:
    """Start the service: webhook, pages and worker in one process.

    Example: tongban run
    """
    _serve(worker=True)


def web() -> None:
    """Start the webhook and the pages only; at least one worker runs beside it.

    Example: tongban web
    """
    _serve(worker=False)


def _serve(*, worker: bool) -> None:
    assembly = desk.prepare()
    settings = assembly.settings
    listener = listen(settings.host, settings.port, "TONGBAN_PORT")
    desk.announce("service" if worker else "web", f" on http://{settings.host}:{settings.port}")
    serve(configure(create_app(assembly, worker=worker), settings.log_level, settings.trusted_proxies), listener)
