"""One dialogue through two web processes in turn, its messages sent by a worker in a third: nothing is remembered in a process.

What stands between is what compose.yaml puts there: a proxy that hands each request to the next web process, whoever asks.
"""

import contextlib
import http.client
import http.server
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import httpx

from app import clock, groups
from bots.turns import Role
from tests.faults.arena import Arena, Line
from tests.faults.processes import Nursery, address_of, listening
from tests.stage import _links

SEATS = "MRNGTRN234"
LEADS = "STAFF23456"
WORDS = "大家好，我是李老师。周三见！"


class Turnstile(http.server.ThreadingHTTPServer):
    """A proxy without memory: each request goes to the next address."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, listener: socket, addresses: Sequence[str]) -> None:
        super().__init__(listener.getsockname(), _Passing, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._lock = threading.Lock()
        self._turns = itertools.cycle(range(len(addresses)))
        self.addresses = addresses
        self.passed = [0] * len(addresses)

    def next(self) -> str:
        """Whose turn it is."""
        with self._lock:
            turn = next(self._turns)
            self.passed[turn] += 1
            return self.addresses[turn]


class _Passing(http.server.BaseHTTPRequestHandler):
    server: Turnstile

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        onward = http.client.HTTPConnection(urlsplit(self.server.next()).netloc, timeout=30)
        onward.request("POST", self.path, body, {"Content-Type": self.headers["Content-Type"] or "text/xml"})
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # on a busy machine the sandbox asks once more
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def turning(listener: socket, addresses: Sequence[str]) -> Iterator[Turnstile]:
    turnstile = Turnstile(listener, addresses)
    serving = threading.Thread(target=turnstile.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield turnstile
    finally:
        turnstile.shutdown()
        serving.join()


class Phone:
    """One person's chat."""

    def __init__(self, arena: Arena, line: Line, name: str) -> None:
        self._arena = arena
        self.openid = arena.ask("POST", "/sandbox/people", {"appid": line.appid, "name": name, "following": False})["openid"]

    def does(self, deed: str, **details: Any) -> str:
        """Do something; what the account answered."""
        before = len(self.chat())
        self._arena.ask("POST", f"/sandbox/people/{self.openid}/{deed}", details)
        shown = [entry for entry in self.chat()[before:] if entry["side"] != "person"]
        assert not [entry for entry in shown if entry["kind"] == "fault"], shown
        return "\n".join(entry["text"] for entry in shown)

    def says(self, text: str) -> str:
        return self.does("say", text=text)

    def taps(self, label: str) -> str:
        """Tap the choice with this label in the latest message that has one."""
        links = [link for entry in reversed(self.chat()) for link in _links(entry["text"])]
        return self.does("tap", href=next(href for href, shown in links if shown.partition(". ")[2] == label))

    def chat(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._arena.ask("GET", f"/sandbox/people/{self.openid}/chat?after=0")["entries"]
        return entries

    def has(self, text: str) -> bool:
        return any(text in entry["text"] for entry in self.chat() if entry["side"] == "account")


def ready(address: str) -> bool:
    """Whether a web process answers, and reaches its database."""
    try:
        return httpx.get(f"{address}/health/ready", timeout=5, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def test_one_dialogue_through_two_web_processes_in_turn(database_url: str, tmp_path: Path, nursery: Nursery) -> None:
    with Arena(database_url, tmp_path, nursery) as arena:
        line = arena.account("dawn")
        circle = arena.group(line, members=3)
        for code, role in ((SEATS, Role.PARTICIPANT), (LEADS, Role.LEADER)):
            arena.write(
                lambda tx, code=code, role=role: groups.invite(  # type: ignore[misc]
                    tx, arena.keyring, circle.id, clock.now(), role=role, once=role is Role.LEADER, name="李老师", code=code
                )
            )
        listeners = [listening() for _ in range(2)]
        try:
            processes = [arena.start("worker"), *(arena.start("web", listener=each) for each in listeners)]
            arena.until(lambda: all(ready(address_of(each)) for each in listeners), living=tuple(processes))
            with turning(arena._web_socket, [address_of(each) for each in listeners]) as turnstile:
                _play(arena, line, circle.openids)
            arena.drain(*processes)
            assert sum(turnstile.passed) >= 16
            assert abs(turnstile.passed[0] - turnstile.passed[1]) <= 1
            for process in processes:
                assert process.stop() == 0
        finally:
            for listener in listeners:
                listener.close()


def _play(arena: Arena, line: Line, seated: Sequence[str]) -> None:
    leader, newcomer = Phone(arena, line, "老李"), Phone(arena, line, "小雨")
    newcomer.does("follow")
    assert "晨光组" in newcomer.says(SEATS)
    assert "你愿意参加吗" in newcomer.taps("开始")
    leader.does("follow")
    assert "组长" in leader.says(f"邀请码 {LEADS}")
    assert "你愿意填吗" in newcomer.taps("同意")
    assert "大家称呼你" in leader.says("对")
    assert "课程一共八周" in newcomer.taps("愿意")
    assert "你现在是「晨光组」的组长了" in leader.taps("就用这个")
    assert "最后一个问题" in newcomer.taps("能")
    assert "请发来公告的文字" in leader.says("公告")
    assert "欢迎加入「晨光组」" in newcomer.says("小雨")
    leader.says(WORDS)
    assert f"{len(seated) + 1} 人" in leader.taps("现在")
    assert "正在发给晨光组" in leader.taps("确认发送")
    arena.until(lambda: newcomer.has(WORDS))
    arena.until(lambda: arena.states()["sent"] == len(seated) + 1)
    assert sorted(entry["openid"] for entry in arena.ledger() if entry["text"].startswith("【晨光组")) == sorted([*seated, newcomer.openid])
    told = leader.says("谁收到了")
    assert "4 人" in told, told
