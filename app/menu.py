"""The menu that an account gets where its operator brings none: every key is answered by a bot, whoever presses it.

Everybody sees the same menu, so it holds nothing that only leaders can do (bad-inputs.md F1).
"""

from collections.abc import Mapping
from typing import Any

#: Names: at most 16 bytes on top and 60 below, three and five entries (platform reference 7).
DEFAULT: Mapping[str, Any] = {
    "button": [
        {"type": "click", "name": "我的小组", "key": "onboarding.where"},
        {
            "name": "帮助 Help",
            "sub_button": [
                {"type": "click", "name": "帮助 Help", "key": "safety.help"},
                {"type": "click", "name": "暂停消息 Pause", "key": "safety.stop"},
                {"type": "click", "name": "恢复消息 Resume", "key": "safety.resume"},
            ],
        },
    ]
}


def keys(menu: Mapping[str, Any]) -> list[str]:
    """The keys of every entry that pushes one."""
    entries = [leaf for entry in menu["button"] for leaf in (entry.get("sub_button") or [entry])]
    return [entry["key"] for entry in entries if "key" in entry]
