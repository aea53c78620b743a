"""What the command line knows before it knows which command: the settings file, and how a refusal of the platform reads. Imports little."""

from contextvars import ContextVar
from pathlib import Path

from app.channels import SendError
from app.errors import Invalid

DEFAULT_FILE = Path(".env")
_file: ContextVar[Path] = ContextVar("settings_file", default=DEFAULT_FILE)


def use_file(path: Path) -> None:
    """Read the settings from this file. Raises `Invalid` where it was named and is missing."""
    if path != DEFAULT_FILE and not path.is_file():
        raise Invalid("settings", f"There is no settings file {path}; `tongban demo` makes one under its data folder.")
    _file.set(path)


def chosen_file() -> Path:
    """The file that the settings are read from."""
    return _file.get()


def platform_says(refused: SendError) -> str:
    """A refusal of the platform as a sentence."""
    detail = f": {refused.detail}" if refused.detail else ""
    return f"WeChat did not take it ({refused.code}{detail}); `tongban check` looks at the account's settings."
