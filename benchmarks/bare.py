"""The limit of the way out: a bare loop of the same HTTP client with as many calls in flight, and no database.

`python -m benchmarks.bare < order.json`: posts `count` messages as the program would, and checks each answer.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import uvloop

from app.channels.wechat.transport import open_http
from benchmarks.imitation import CUSTOM
from benchmarks.town import WORDS


@dataclass(frozen=True)
class Order:
    """What to post: to `address` + `path`, `in_flight` at a time."""

    address: str
    path: str
    in_flight: int
    count: int


async def post(order: Order) -> dict[str, Any]:
    """Post everything; returns what it cost."""
    numbers = iter(range(order.count))
    client = open_http(order.in_flight)
    headers = {"Content-Type": "application/json; charset=utf-8"}

    async def loop() -> None:
        for number in numbers:
            content = json.dumps(_body(order.path, f"o{number:027d}"), ensure_ascii=False).encode()
            answer = await client.post(order.address + order.path, params={"access_token": "imitated"}, content=content, headers=headers)
            if answer.json()["errcode"]:
                raise ValueError(answer.text)

    before = time.process_time()
    await asyncio.gather(*(loop() for _ in range(order.in_flight)))
    await client.aclose()
    return {"cpu": time.process_time() - before}


def _body(path: str, openid: str) -> dict[str, Any]:
    if path == CUSTOM:
        words = f"【公告】正念自我关怀 · 大群\n组长：\n{WORDS}"
        return {"touser": openid, "msgtype": "text", "text": {"content": words}}
    fields = {"thing1": {"value": "公告"}, "thing2": {"value": "正念自我关怀"}, "time3": {"value": "2026年11月26日 19:30"}}
    url = "http://127.0.0.1:8000/read/1234567890123.abcdefghijklmnop"
    return {"touser": openid, "template_id": "T" * 43, "url": url, "client_msg_id": f"d{openid[-12:]}", "data": fields}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(post(Order(**json.load(sys.stdin))))))
