"""Bad inputs, group A, through the running application: who is refused, that all refusals look alike, and what they cost."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from app import accounts, clock
from app.accounts import Accounts
from app.inbox import Incoming
from app.models import InboxItem, Quarantined
from app.web import connections, hooks
from tests.app.wire import OtherProcess, Wire, changed, statements
from tests.stage import Stage

Logged = Callable[[], str]

SECRET_WORDS = "只有我知道的话"
FULL_WIDTH = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}


async def openid_of(stage: Stage) -> str:
    stage.course("正念自我关怀")
    group = stage.group("晨光组", code="MORNING234")
    await stage.member("小雨", group)
    return stage.openids["小雨"]


def holds_nothing_of(log: str, wire: Wire, *words: str) -> bool:
    """Whether neither keys nor people nor these words stand in the log."""
    secrets = (wire.known.token, wire.known.aes_key, wire.known.secret, *wire.stage.openids.values(), SECRET_WORDS, *words)
    return not any(secret in log for secret in secrets) and "Traceback" not in log


def test_a1_a2_a_handshake_is_echoed_exactly_or_refused_like_anything_else(database_url: str, tmp_path: Path, logged: Logged) -> None:
    asyncio.run(_handshakes(database_url, tmp_path, logged))


async def _handshakes(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)

        async def asked(query: list[tuple[str, str]]) -> httpx.Response:
            return await stage.web.get(wire.path, params=urlencode(query))

        good = await asked(wire.query(echostr="5838479218127813673"))
        assert (good.status_code, good.text) == (200, "5838479218127813673")
        assert good.headers["content-type"].startswith("text/plain")
        query = wire.query(echostr="123")
        hostile = [
            changed(query, signature="0" * 40),
            changed(query, signature=None),
            wire.query(echostr="<script>alert(1)</script>"),
            wire.query(echostr="a" * 129),
            wire.query(echostr=""),
            wire.query(),
            wire.query(stamp=wire.stamp(-400), echostr="123"),
            [],
        ]
        async with wire.nothing_is_written():
            answers = [await asked(query) for query in hostile]
            answers.append(await stage.web.get("/hooks/wechat/nobody", params=urlencode(wire.query(echostr="123"))))
        assert {(each.status_code, each.content) for each in answers} == {(403, b"")}
        assert len({tuple(sorted(set(each.headers.items()) - {("date", each.headers["date"])})) for each in answers}) == 1
        assert holds_nothing_of(logged(), wire, "<script>")


def test_a3_a4_a5_a6_a7_a8_every_bad_signature_gets_the_same_refusal_and_writes_nothing(
    database_url: str, tmp_path: Path, logged: Logged
) -> None:
    asyncio.run(_signatures(database_url, tmp_path, logged))


def bad_queries(wire: Wire, other: Wire, good: list[tuple[str, str]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    signature, stamp, nonce = (dict(good)[name] for name in ("signature", "timestamp", "nonce"))
    rest = good[3:]
    yield "A3 no parameters", []
    yield "A3 no signature", changed(good, signature=None)
    yield "A3 no timestamp", changed(good, timestamp=None)
    yield "A3 no nonce", changed(good, nonce=None)
    yield "A4 another account's token", [*other.query(stamp=stamp, nonce=nonce), *rest]
    for name, wrong in {
        "upper case": signature.upper(),
        "39 digits": signature[:-1],
        "41 digits": signature + "0",
        "empty": "",
        "line end": signature + "\n",
        "full width": signature.translate(FULL_WIDTH),
    }.items():
        yield f"A5 {name}", changed(good, signature=wrong)
    for name in ("signature", "timestamp", "nonce", "msg_signature", "encrypt_type"):
        yield f"A5 {name} twice", [*good, (name, dict(good)[name])]
    for seconds in (-301, 302):
        yield f"A6 {seconds} s", [*wire.query(stamp=wire.stamp(seconds)), *rest]
    shapes = [stamp + "999", "+" + stamp, " " + stamp, stamp.translate(FULL_WIDTH), "-" + stamp, "1" * 20, "", stamp + "\n", "1e9"]
    for shape in shapes:
        yield f"A7 {shape!r}", [*wire.query(stamp=shape), *rest]
    yield "A7 moved boundary", [("signature", signature), ("timestamp", stamp + nonce[:1]), ("nonce", nonce[1:]), *rest]
    for shape in ("", "n" * 1024, "a\x00b", "a\x80\x00", "随机", "a b", "a\n", "n" * 65, "a%00", "a;b"):
        yield f"A8 {shape[:9]!r}", [*wire.query(nonce=shape), *rest]


async def _signatures(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        openid = await openid_of(stage)
        wire = Wire(stage)
        second = stage.write(
            lambda tx: accounts.add(
                tx,
                stage.keyring,
                clock.now(),
                name="second",
                appid="wx1111111111111111",
                original_id="gh_1111111111ab",
                secret="1" * 32,
                api_base="http://127.0.0.1:1",
            )
        )
        other = Wire(stage, second)
        await stage.assembly.accounts.refresh(force=True)
        good, body = wire.sealed(wire.text(openid, SECRET_WORDS))
        async with wire.nothing_is_written():
            for name, query in bad_queries(wire, other, good):
                assert await wire.is_refused(query, body), name
            assert await wire.is_refused(good, body, path=other.path), "A4 right for the other account"
            assert await wire.is_refused(good, body, path="/hooks/wechat/nobody"), "an account that does not exist"
            assert await wire.is_refused(good, body, path="/hooks/wechat/%00"), "an account that cannot exist"
        assert holds_nothing_of(logged(), wire)
        for seconds in (-298, 298):  # the clock of the stage goes on meanwhile
            assert wire.words(await wire.post(*wire.sealed(wire.text(openid, "你好"), stamp=wire.stamp(seconds)))), f"A6 {seconds} s"
        assert wire.words(await wire.post(good, body)), "the good request still counts"


def test_a9_a_replayed_request_gets_its_stored_answer_then_a_bare_success_then_a_refusal(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_replays(database_url, tmp_path))


async def _replays(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        openid = await openid_of(stage)
        wire = Wire(stage)
        query, body = wire.sealed(wire.text(openid, "停"))
        first = wire.plain(await wire.post(query, body))
        assert first is not None
        for seconds in (2, 28):  # 2 s, then 30 s after the first
            await stage.advance(timedelta(seconds=seconds))
            async with wire.nothing_is_written():
                assert wire.plain(await wire.post(query, body)) == first
        await stage.advance(timedelta(seconds=90))
        async with wire.nothing_is_written():
            assert (await wire.post(query, body)).content == b"success"
        await stage.advance(timedelta(minutes=8))
        async with wire.nothing_is_written():
            assert await wire.is_refused(query, body)
        assert wire.count(InboxItem) == 1


def test_a10_in_plaintext_mode_a_captured_address_takes_another_body_and_in_safe_mode_it_does_not(
    database_url: str, tmp_path: Path
) -> None:
    asyncio.run(_captured(database_url, tmp_path))


async def _captured(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path, mode="plaintext") as stage:
        openid = await openid_of(stage)
        wire = Wire(stage)
        captured = wire.query()
        assert wire.words(await wire.post(captured, wire.text(openid, "真的")))
        assert wire.words(await wire.post(captured, wire.text(openid, "假的")))  # why production refuses this mode
        assert wire.count(InboxItem) == 2
        stage.write(lambda tx: tx.exec_driver_sql("UPDATE accounts SET mode = 'safe'"))
        await stage.assembly.accounts.refresh(force=True)
        async with wire.nothing_is_written():
            assert await wire.is_refused(captured, wire.text(openid, "又是假的"))


def test_a11_a_body_that_is_too_large_is_cut_early_and_never_unpacked(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_large(database_url, tmp_path))


async def _large(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as front:
        wire = Wire(stage)
        kept = f"POST {wire.path}?{urlencode(wire.query())} HTTP/1.1\r\nHost: a\r\n".encode()
        head = kept + b"Connection: close\r\n"
        async with wire.nothing_is_written():
            exact, over = 64 * 1024, 64 * 1024 + 1
            for size in (over, 1_000_000):
                answer = await front.raw(head + b"Content-Length: %d\r\n\r\n" % size, b"a" * size)
                assert answer.startswith(b"HTTP/1.1 413 ")
                assert b"connection: close" in answer.lower()
            assert (await front.raw(head + b"Content-Length: %d\r\n\r\n" % exact, b"a" * exact)).startswith(b"HTTP/1.1 403 ")
            tracemalloc.start()
            answer = await front.raw(head + b"Transfer-Encoding: chunked\r\n\r\n", *[b"10000\r\n" + b"a" * 65536 + b"\r\n"] * 800)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
            assert peak < 3_000_000
            low = await front.raw(kept + b"Content-Length: 3\r\n\r\n", b"<xml>" * 100)
            statuses = [line[9:12] for line in low.split(b"\r\n") if line.startswith(b"HTTP")]
            assert statuses in ([b"403", b"400"], [b"400"])  # what comes after three bytes is no request
            bomb = gzip.compress(b"a" * 10_000_000)
            answer = await front.raw(head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb), bomb)
            assert answer.startswith(b"HTTP/1.1 403 ")
        query, _ = wire.sealed(b"<xml/>")
        tracemalloc.start()
        assert (
            await stage.web.post(wire.path, params=urlencode(query), content=bomb, headers={"content-encoding": "gzip"})
        ).content == b"success"
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3_000_000
        assert wire.quarantined()


def test_a12_who_sends_too_slowly_is_hung_up_on_and_honest_pushes_are_not_delayed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.8)  # of ten
    monkeypatch.setattr(hooks, "_BODY_SECONDS", 0.8)
    asyncio.run(_slow(database_url, tmp_path))


async def _slow(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as front:
        openid = await openid_of(stage)
        wire = Wire(stage)
        head = f"POST {wire.path}?{urlencode(wire.query())} HTTP/1.1\r\nHost: a\r\n".encode()
        dripping = [bytes([each]) for each in head[:30]]
        slow = [asyncio.create_task(front.raw(head, limit=30)) for _ in range(100)]
        slow += [asyncio.create_task(front.raw(*dripping, pause=0.1, limit=30)) for _ in range(20)]
        unfinished = [asyncio.create_task(front.raw(head + b"Content-Length: 900\r\n\r\n<xml>", limit=30)) for _ in range(100)]
        await asyncio.sleep(0.1)
        waits: list[float] = []
        for _ in range(20):
            begun = clock.steady()
            assert wire.words(await wire.push(wire.text(openid, "你好呀"), at=front.web)) or waits
            waits.append(clock.steady() - begun)
        assert sorted(waits)[10] < 0.5  # that half of them are quick says it: a busy machine holds up some
        begun = clock.steady()
        assert set(await asyncio.gather(*slow)) == {b""}
        assert {answer.partition(b"\r\n")[0] for answer in await asyncio.gather(*unfinished)} == {b"HTTP/1.1 408 Request Timeout"}
        assert clock.steady() - begun < 25


@pytest.mark.parametrize("mode", ["safe", "plaintext"])
def test_a13_what_is_no_xml_goes_to_quarantine_when_signed_and_is_refused_when_not(
    database_url: str, tmp_path: Path, logged: Logged, mode: str
) -> None:
    asyncio.run(_no_xml(database_url, tmp_path, logged, mode))


async def _no_xml(database_url: str, tmp_path: Path, logged: Logged, mode: str) -> None:
    bodies = {
        "empty": b"",
        "spaces": b" \r\n\t ",
        "null": b"null",
        "json": f'{{"ToUserName": "gh_0", "Content": "{SECRET_WORDS}"}}'.encode(),
        "form": b"signature=a&Content=b",
        "multipart": b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n--x--',
        "binary": bytes(range(256)),
    }
    async with Stage(database_url, tmp_path, mode=mode) as stage:
        wire = Wire(stage)
        query = wire.sealed(b"<xml/>")[0] if mode == "safe" else wire.query()
        for number, (name, body) in enumerate(bodies.items(), start=1):
            answer = await wire.post(query, body)
            assert (answer.status_code, answer.content) == (200, b"success"), name
            assert wire.count(Quarantined) == number, name
        assert wire.alarms()["quarantine", "json"] == 1  # the account was set to JSON pushes
        if mode == "safe":
            for name, body in bodies.items():
                assert not body or await wire.is_quarantined(body), f"{name}, encrypted"
        async with wire.nothing_is_written():
            for name, body in bodies.items():
                assert await wire.is_refused(changed(query, signature="0" * 40), body), name
        assert SECRET_WORDS not in repr(wire.rows())
        assert wire.count(InboxItem) == 0
        assert holds_nothing_of(logged(), wire)


def test_a14_other_methods_and_crooked_paths_lead_nowhere(database_url: str, tmp_path: Path, logged: Logged) -> None:
    asyncio.run(_crooked(database_url, tmp_path, logged))


CROOKED = [
    "/hooks/wechat",
    "/hooks/wechat/",
    "/hooks/wechat/demo/../../../etc/passwd",
    "/hooks/wechat/../../demo",
    "/hooks/%2e%2e/wechat/demo",
    "/hooks/wechat/%252e%252e/demo",
    "/hooks/wechat/demo%2f..%2fdemo",
    "/hooks/wechat/demo%00",
    "//hooks//wechat//demo",
    "/hooks/wechat/" + "a" * 30_000,
    "/static/../main.py",
    "/static/%2e%2e/main.py",
    "/static/..%2fmain.py",
    "/read/../../etc/passwd",
    "/read/%00",
    "/read/" + "9" * 30,
    "/",
]


async def _crooked(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as front:
        wire = Wire(stage)
        query = urlencode(wire.query(echostr="123"))
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\nSec-WebSocket-Version: 13\r\n"

        async def status(method: str, path: str, headers: bytes = b"") -> tuple[int, bytes]:
            line = f"{method} {path} HTTP/1.1\r\nHost: evil.example\r\n".encode()
            answer = await (front.raw(line + headers + b"\r\n", limit=3.0) if headers else front.raw(line + b"Connection: close\r\n\r\n"))
            return int(answer[9:12]), answer

        async with wire.nothing_is_written():
            for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
                number, answer = await status(method, f"{wire.path}?{query}")
                assert number == 405, method
                assert answer.endswith(b"\r\n\r\n"), f"{method} echoes nothing"
            for path in CROOKED:
                for method in ("GET", "POST"):
                    number, answer = await status(method, path)
                    assert number in {400, 403, 404, 405, 408, 414}, (method, path[:60])
                    assert b"evil.example" not in answer
            assert (await status("GET", "http://evil.example/nothing"))[0] == 404
            assert (await status("OPTIONS", "*"))[0] in {400, 404, 405}
            assert (await status("GET", wire.path, upgrade))[0] == 403
            for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 50 + b"\r\n\r\n", b"GET\r\n\r\n"):
                assert (await front.raw(garbage)).startswith(b"HTTP/1.1 400 ")
        log = logged()
        assert holds_nothing_of(log, wire)


def test_a15_requests_that_could_smuggle_another_one_are_refused(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_smuggled(database_url, tmp_path))


async def _smuggled(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage, OtherProcess(stage) as front:
        wire = Wire(stage)
        line = f"POST {wire.path}?{urlencode(wire.query())} HTTP/1.1\r\nHost: a\r\n".encode()
        hidden = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        requests = {
            "two lengths": line + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc" + hidden,
            "two equal lengths": line + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + hidden,
            "length and chunks": line + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
            "chunks and length": line + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + hidden,
            "unknown encoding": line + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden,
            "space before colon": line + b"Content-Length : 3\r\n\r\nabc" + hidden,
            "folded header": line + b"X-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc" + hidden,
            "bare line feed in a chunk": line + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" + hidden,
            "length with a sign": line + b"Content-Length: +3\r\n\r\nabc" + hidden,
        }
        async with wire.nothing_is_written():
            for name, request in requests.items():
                answer = await front.raw(request)
                assert answer.startswith(b"HTTP/1.1 400 "), name
                assert b"live" not in answer, name


def test_a16_forged_host_and_proxy_headers_change_nothing(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_forged_headers(database_url, tmp_path))


async def _forged_headers(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path, notices=True) as stage:
        openid = await openid_of(stage)
        wire = Wire(stage)
        forged = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=127.0.0.1;host=evil.example",
            "X-HTTP-Method-Override": "GET",
            "X-Original-URL": "/health/live",
        }
        query, body = wire.sealed(wire.text(openid, "你好"))
        answer = await stage.web.post(wire.path, params=urlencode(query), content=body, headers=forged)
        assert "evil.example" not in wire.words(answer)
        assert (
            await stage.web.post(wire.path, params=urlencode(changed(query, nonce="x")), content=body, headers=forged)
        ).status_code == 403
        for path in ("/hooks/wechat", "/health", "/health/live/", "/read/1.x", "/static"):
            for method in ("GET", "POST"):
                shown = await stage.web.request(method, path, headers=forged)
                assert "evil.example" not in shown.text + str(shown.headers), (method, path)
        assert "evil.example" not in stage.assembly.reading.url(1)


def test_a17_a_flood_of_wrong_signatures_costs_no_statement_and_raises_one_alarm(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(Accounts, "_FRESH_SECONDS", 3600.0)
    asyncio.run(_flooded(database_url, tmp_path, logged))


async def _flooded(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        openid = await openid_of(stage)
        wire = Wire(stage)
        good, body = wire.sealed(wire.text(openid, SECRET_WORDS))
        wrong = changed(good, signature="0" * 40)
        with statements() as few:
            for _ in range(hooks._MANY_REFUSALS - 1):
                assert await wire.is_refused(wrong, body)
        assert few == []
        with statements() as more:
            for path in (wire.path, "/hooks/wechat/nobody"):
                for _ in range(50):
                    assert await wire.is_refused(wrong, body, path=path)
            await stage.hooks.finish()
        assert len([each for each in more if "alarms" in each]) == 1
        assert {each.partition(" ")[0] for each in more if "alarms" not in each} <= {"BEGIN", "SAVEPOINT", "RELEASE"}
        assert wire.alarms() == {("refused_push", "many"): 1}
        assert stage.hooks.tally.outcomes["refused"] == hooks._MANY_REFUSALS - 1 + 100
        assert wire.words(await wire.post(good, body))
        assert holds_nothing_of(logged(), wire)


def test_a18_nothing_but_the_doors_that_are_meant_is_open(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_doors(database_url, tmp_path))


async def _doors(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        paths = ["/docs", "/redoc", "/openapi.json", "/metrics", "/.env", "/.git/config", "/admin", "/sandbox/people", "/cgi-bin/token"]
        for path in [*paths, *(f"/static{path}" for path in paths), *(f"/hooks{path}" for path in paths)]:
            answer = await stage.web.get(path)
            assert answer.status_code == 404, path
            assert "server" not in answer.headers
            assert "wechat" not in answer.text.lower()
        assert (await stage.web.get("/health/live")).json() == {"status": "live"}


def test_a_defect_of_the_door_itself_loses_no_push_and_prints_no_words(
    sqlite_url: str, tmp_path: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_defect(sqlite_url, tmp_path, logged, monkeypatch))


async def _defect(url: str, folder: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage(url, folder) as stage:
        wire, openid = Wire(stage), await stage.openid("小雨", following=True)
        query, body = wire.sealed(wire.text(openid, "我的秘密"))
        with monkeypatch.context() as broken:

            async def fails(incoming: Incoming, *_: object) -> None:
                raise RuntimeError(incoming.push.value)

            broken.setattr(stage.hooks._intake, "take", fails)
            answer = await stage.web.post(wire.path, params=urlencode(query), content=body)
        assert (answer.status_code, answer.content) == (503, b"")
        written = logged()
        assert "hook_failed" in written
        assert "我的秘密" not in written
        assert wire.words(await wire.post(query, body)), "the platform's next try is taken"
