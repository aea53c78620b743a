"""Hides how an installation travels between processes. Imports little: the generator starts many times."""

import os
from dataclasses import asdict, dataclass
from typing import Any

ACCOUNT = "demo"
#: What is announced.
WORDS = "今晚七点半上第三课，请提前十分钟进入会议室，带上这一周的练习记录。"


@dataclass(frozen=True)
class Town:
    """One installation: its keys, its account and who lives in it. Travels to other processes as JSON."""

    master_key: str
    index_key: str
    account_id: int
    course_id: int
    large_group: int
    appid: str
    original_id: str
    token: str
    aes_key: str
    openids: tuple[str, ...]

    def environment(self, url: str) -> dict[str, str]:
        """The settings of a process of its own that works on a database of this town."""
        mine = {"DATABASE_URL": url, "MASTER_KEY": self.master_key, "INDEX_KEY": self.index_key, "LOG_LEVEL": "WARNING"}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TONGBAN_")}
        return clean | {f"TONGBAN_{name}": value for name, value in mine.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)
