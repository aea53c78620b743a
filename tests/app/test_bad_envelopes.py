"""Bad inputs, group B, through the running application: hostile XML and crypto behind valid signatures. Never a 5xx, never a leak."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from app import accounts, clock
from app.accounts import ROTATION, new_aes_key
from app.models import InboxItem, Quarantined
from tests.app.wire import Wire, aes, changed, fields_of, layout, padded
from tests.channels.platform import document, sha1
from tests.stage import Stage

Logged = Callable[[], str]

MARK = "只有我知道的话"
OPENID = "oHostile_000000000000000-001"


@contextmanager
def listener() -> Iterator[tuple[str, list[object]]]:
    """An address of this machine, and everybody who called there."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                try:
                    connection, caller = server.accept()
                except TimeoutError:
                    continue
                calls.append(caller)
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
        finally:
            done.set()
            thread.join()


def inner(inside: str, before: str = "", after: str = "") -> bytes:
    """A push that would be a text message but for what stands in it."""
    return (
        f"{before}<xml><ToUserName>gh_0123456789ab</ToUserName><FromUserName>{OPENID}</FromUserName><CreateTime>1795428000</CreateTime>"
        f"<MsgType>text</MsgType><MsgId>77</MsgId>{inside}</xml>{after}"
    ).encode()


def hostile_xml(address: str) -> Iterator[tuple[str, bytes]]:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else MARK * 10}">' for n in range(10))
    yield "B1 billion laughs", inner("<Content>&e9;</Content>", f"<!DOCTYPE xml [{entities}]>")
    yield "B1 quadratic", inner(f"<Content>{'&a;' * 8000}</Content>", f'<!DOCTYPE xml [<!ENTITY a "{"a" * 20000}">]>')
    yield "B1 parameter entity", inner("<Content>a</Content>", f'<!DOCTYPE xml [<!ENTITY % p SYSTEM "{address}/p"> %p;]>')
    yield "B1 undefined entity", inner("<Content>&nobody;</Content>")
    yield "B2 file", inner("<Content>&f;</Content>", '<!DOCTYPE xml [<!ENTITY f SYSTEM "file:///etc/passwd">]>')
    yield "B2 address", inner("<Content>&f;</Content>", f'<!DOCTYPE xml [<!ENTITY f SYSTEM "{address}/e">]>')
    yield "B2 system id", inner("<Content>a</Content>", f'<!DOCTYPE xml SYSTEM "{address}/dtd">')
    yield "B2 public id", inner("<Content>a</Content>", f'<!DOCTYPE xml PUBLIC "x" "{address}/dtd">')
    yield "B3 nested", inner("<a>" * 5000 + "</a>" * 5000)
    yield "B3 never closed", inner("<a>" * 10_000)
    yield "B3 nine deep", inner("<a>" * 9 + "</a>" * 9)
    yield "B3 siblings", inner("".join(f"<a{n}/>" for n in range(5000)))
    yield "B3 equal siblings", inner("<a/>" * 10_000)
    yield "B3 long attribute", inner(f'<Content a="{"x" * 45_000}">a</Content>')
    attributes = " ".join(f'a{n}="1"' for n in range(1000))
    yield "B3 many attributes", inner(f"<Content {attributes}>a</Content>")
    yield "B3 instruction", inner("<?php system('id') ?><Content>a</Content>")
    yield "B3 stylesheet", inner("<Content>a</Content>", f'<?xml-stylesheet href="{address}/s"?>')
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{address}/x"/>'
    yield "B3 include", inner(include)
    for name in ("MsgType", "Content", "FromUserName", "MsgId", "ToUserName", "CreateTime"):
        yield f"B4 two {name}", inner(f"<Content>a</Content><{name}>{MARK}</{name}>")
    yield "B4 elements in text", inner("<Content><b>a</b></Content>")
    yield "B4 attribute", inner('<Content type="a">a</Content>')
    yield "B4 prefix", inner("<x:Content>a</x:Content>")
    yield "B4 namespace", inner("<Content>a</Content>").replace(b"<xml>", b'<xml xmlns="urn:x">')
    yield "B4 other root", inner("<Content>a</Content>").replace(b"xml>", b"xlm>")
    yield "B4 two roots", inner("<Content>a</Content>", after="<xml/>")
    yield "B4 text between", inner(f"<Content>a</Content>{MARK}")
    declared = inner("<Content>a</Content>")
    for encoding in ("gbk", "utf-16", "utf-7", "latin-1", "nonsense"):
        yield f"B5 declares {encoding}", f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + declared
    yield "B5 gbk", inner("<Content>CHANGE</Content>").replace(b"CHANGE", MARK.encode("gbk"))
    yield "B5 utf-16", declared.decode().encode("utf-16")
    yield "B5 invalid", inner("<Content>CHANGE</Content>").replace(b"CHANGE", b"\xff\xfe\xfa")
    yield "B5 overlong", inner("<Content>CHANGE</Content>").replace(b"CHANGE", b"\xc0\xbcscript\xc0\xbe")
    yield "B5 surrogate", inner("<Content>CHANGE</Content>").replace(b"CHANGE", b"\xed\xa0\xbd")
    for reference in ("&#0;", "&#xD83D;", "&#xFFFE;", "&#x1F;", "&#x110000;", "&#-1;"):
        yield f"B7 {reference}", inner(f"<Content>{reference}</Content>")
    yield "B14 envelope in envelope", document({"ToUserName": "gh_0123456789ab", "Encrypt": "AAAA"})
    yield "B14 envelope beside text", inner("<Content>a</Content><Encrypt>AAAA</Encrypt>")
    for name, recipient in (("another", "gh_ffffffffffff"), ("empty", ""), ("long", "g" * 1024)):
        yield f"B15 {name} recipient", inner("<Content>a</Content>").replace(b"gh_0123456789ab", recipient.encode())


def test_b1_b2_b3_b4_b5_b7_b14_b15_hostile_xml_lies_in_quarantine_and_reaches_nobody(
    database_url: str, tmp_path: Path, logged: Logged
) -> None:
    asyncio.run(_hostile(database_url, tmp_path, logged))


async def _hostile(database_url: str, tmp_path: Path, logged: Logged) -> None:
    with listener() as (address, calls):
        async with Stage(database_url, tmp_path) as stage:
            wire = Wire(stage)
            cases = list(hostile_xml(address))
            for name, plain in cases:
                begun = time.process_time()
                assert await wire.is_quarantined(plain), name
                assert time.process_time() - begun < 2, name
            assert wire.count(Quarantined) == len(cases)
            assert wire.count(InboxItem) == 0
            assert sum(count for (kind, _), count in wire.alarms().items() if kind == "quarantine") == len(cases)
            assert wire.alarms()["quarantine", "recipient"] == 3
            stored = repr(wire.rows())
            assert MARK not in stored
            assert OPENID not in stored
            log = logged()
            assert not any(secret in log for secret in (MARK, OPENID, "etc/passwd", "Traceback", wire.known.token, wire.known.aes_key))
    assert calls == []


def test_b1_b2_b3_b4_b5_hostile_outer_xml_of_a_signed_request_lies_in_quarantine_too(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_hostile_outside(database_url, tmp_path))


async def _hostile_outside(database_url: str, tmp_path: Path) -> None:
    with listener() as (address, calls):
        async with Stage(database_url, tmp_path) as stage:
            wire = Wire(stage)
            query, envelope = wire.sealed(wire.text(OPENID, "a"))
            encrypted = fields_of(envelope)["Encrypt"]
            bodies = {
                "two Encrypt": document({"Encrypt": encrypted}, f"<Encrypt>{encrypted}</Encrypt>"),
                "entity": f'<!DOCTYPE xml [<!ENTITY e "{encrypted}">]><xml><Encrypt>&e;</Encrypt></xml>'.encode(),
                "system id": f'<!DOCTYPE xml SYSTEM "{address}/d">'.encode() + envelope,
                "nested": b"<xml><Encrypt>" + b"<a>" * 7000 + b"</a>" * 7000 + b"</Encrypt></xml>",
                "gbk": b'<?xml version="1.0" encoding="gbk"?>' + envelope,
                "attribute": envelope.replace(b"<Encrypt>", b'<Encrypt a="1">'),
            }
            for number, (name, body) in enumerate(bodies.items(), start=1):
                answer = await wire.post(query, body)
                assert (answer.status_code, answer.content) == (200, b"success"), name
                assert wire.count(Quarantined) == number, name
            async with wire.nothing_is_written():
                assert await wire.is_refused(query, document({"ToUserName": "gh_0123456789ab"}))
                assert await wire.is_refused(query, document({}, "<Encrypt><a>1</a></Encrypt>"))
                for body in bodies.values():
                    assert await wire.is_refused(changed(query, signature="0" * 40), body)
    assert calls == []


def test_b5_b6_a_byte_order_mark_and_split_cdata_are_read_as_text_and_answered_in_well_formed_xml(
    database_url: str, tmp_path: Path
) -> None:
    asyncio.run(_odd_but_good(database_url, tmp_path))


async def _odd_but_good(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        assert wire.words(await wire.push(b"\xef\xbb\xbf" + wire.text(OPENID, "你好")))
        declared = b'<?xml version="1.0" encoding="UTF-8"?>' + wire.text(OPENID, "你好")
        assert wire.words(await wire.push(declared))
        split = wire.text(OPENID, "SPLIT").replace(b"SPLIT", b"a]]]]><![CDATA[><b>c</b>")
        assert wire.words(await wire.push(split))
        commented = wire.text(OPENID, "x").replace(b"<![CDATA[x]]>", "停<!-- a comment -->".encode())
        answer = wire.words(await wire.push(commented))
        assert answer  # a comment is no text: what was written is the word of stop
        assert stage.read(lambda tx: tx.execute(sa.text("SELECT count(*) FROM audit WHERE action = 'pause'")).scalar_one()) == 1
        assert wire.quarantined() == []


def test_b8_of_two_contents_only_the_encrypted_one_counts_and_a_safe_account_takes_no_other(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_modes(database_url, tmp_path))


async def _modes(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        async with wire.nothing_is_written():
            for more in ({}, {"encrypt_type": "raw"}, {"encrypt_type": "aes"}, {"encrypt_type": "AES", "msg_signature": "0" * 40}):
                assert await wire.is_refused(wire.query(**more), wire.text(OPENID, "停")), more
            assert await wire.is_refused(wire.posted("x")[0], wire.text(OPENID, "停"))
        stage.write(lambda tx: tx.exec_driver_sql("UPDATE accounts SET mode = 'compatible'"))
        await stage.assembly.accounts.refresh(force=True)
        plain = f"<FromUserName>{OPENID}</FromUserName><MsgType>text</MsgType><Content>停</Content><MsgId>1</MsgId>"
        query, body = wire.sealed(wire.text(OPENID, "你好"))
        query, body = wire.posted(fields_of(body)["Encrypt"], plain)
        assert wire.words(await wire.post(query, body))
        assert stage.read(lambda tx: tx.execute(sa.text("SELECT count(*) FROM audit WHERE action = 'pause'")).scalar_one()) == 0
        async with wire.nothing_is_written():
            stripped = [each for each in query if each[0] not in {"encrypt_type", "msg_signature"}]
            assert await wire.is_refused(stripped, body)


def bad_ciphertexts(wire: Wire, good: str, plain: bytes) -> Iterator[tuple[str, str]]:
    key, appid = wire.known.aes_key, wire.known.appid
    whole = padded(layout(plain, appid))
    yield "B10 empty", ""
    yield "B10 no base64", "!!!!"
    yield "B10 spaces", f"{good[:40]} {good[40:]}"
    yield "B10 line ends", f"{good[:40]}\n{good[40:]}"
    yield "B10 other alphabet", good.replace("+", "-").replace("/", "_") + "-_"
    yield "B10 17 bytes", "A" * 23 + "="
    yield "B10 16 bytes", "A" * 22 + "=="
    yield "B10 32 bytes", "A" * 43 + "="
    yield "B10 large", "AAAA" * 12_000
    yield "B10 not ASCII", "密文"
    yield "B10 cut", good[:-44]
    yield "B10 a byte changed", ("B" if good[0] != "B" else "C") + good[1:]
    yield "B10 another key", aes(whole, new_aes_key())
    for last in (0, 33, 255):
        yield f"B11 padding {last}", aes(whole[:-1] + bytes([last]), key)
    yield "B11 inconsistent padding", aes(padded(layout(plain + b"x" * 5, appid))[:-2] + b"\x01\x02", key)
    for length in (0, 0xFFFFFFFF, len(plain) + 1000):
        yield f"B11 length {length}", aes(padded(layout(plain, appid, length)), key)
    yield "B11 only padding", aes(bytes([32]) * 32, key)
    for name, other in (("B12 another", "wxffffffffffffffff"), ("B12 suffix", appid + "x"), ("B12 empty", ""), ("B12 cut", appid[:-1])):
        yield f"{name} appid", aes(padded(layout(plain, other)), key)


def test_b9_b10_b11_b12_bad_ciphertext_behind_a_valid_signature_always_gets_the_same_refusal(
    database_url: str, tmp_path: Path, logged: Logged
) -> None:
    asyncio.run(_ciphertexts(database_url, tmp_path, logged))


async def _ciphertexts(database_url: str, tmp_path: Path, logged: Logged) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        plain = wire.text(OPENID, MARK)
        query, body = wire.sealed(plain)
        good = fields_of(body)["Encrypt"]
        cases = dict(bad_ciphertexts(wire, good, plain))
        async with wire.nothing_is_written():
            for name, encrypted in cases.items():
                if not name.startswith("B12"):
                    assert await wire.is_refused(*wire.posted(encrypted)), name
            other, _ = wire.sealed(wire.text(OPENID, "other"))
            assert await wire.is_refused(other, body), "B9 another ciphertext"
            assert await wire.is_refused(changed(query, msg_signature="0" * 40), body), "B9 wrong msg_signature"
            assert await wire.is_refused(changed(query, msg_signature=""), body), "B9 empty msg_signature"
            assert await wire.is_refused(changed(query, signature=dict(query)["msg_signature"]), body), "B9 one for the other"
        foreign = [encrypted for name, encrypted in cases.items() if name.startswith("B12")]
        for encrypted in foreign:
            assert await wire.is_refused(*wire.posted(encrypted)), "B12"
        await stage.hooks.finish()
        assert wire.alarms() == {("refused_push", "appid"): len(foreign)}
        assert wire.count(InboxItem) == wire.count(Quarantined) == 0
        log = logged()
        assert not any(secret in log for secret in (MARK, OPENID, "Traceback", wire.known.token, wire.known.aes_key))
        assert wire.words(await wire.post(query, body))


def test_b13_the_previous_key_opens_and_answers_for_a_day_and_then_no_more(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_rotation(database_url, tmp_path))


async def _rotation(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        former = Wire(stage)
        stage.write(lambda tx: accounts.rotate_aes_key(tx, stage.keyring, stage.account_id, new_aes_key(), clock.now()))
        await stage.assembly.accounts.refresh(force=True)
        fresh = Wire(stage)
        assert fresh.known.aes_key != former.known.aes_key
        assert fresh.words(await fresh.push(fresh.text(OPENID, "你好")))
        assert former.words(await former.push(former.text(OPENID, "你好呀")))  # read with the former key, so answered with it
        await stage.advance(ROTATION - timedelta(minutes=1))
        assert former.words(await former.push(former.text(OPENID, "还在吗")))
        await stage.advance(timedelta(minutes=2))
        async with fresh.nothing_is_written():
            assert await former.is_refused(*former.sealed(former.text(OPENID, "还在吗")))
        assert fresh.words(await fresh.push(fresh.text(OPENID, "还在吗")))


def test_b14_an_envelope_around_an_envelope_is_not_opened_twice(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_envelope_in_envelope(database_url, tmp_path))


async def _envelope_in_envelope(database_url: str, tmp_path: Path) -> None:
    async with Stage(database_url, tmp_path) as stage:
        wire = Wire(stage)
        query, body = wire.sealed(wire.text(OPENID, "停"))
        assert await wire.is_quarantined(body, "nested")
        assert sha1(wire.known.token, query[1][1], query[2][1], fields_of(body)["Encrypt"]) == dict(query)["msg_signature"]
        assert wire.count(InboxItem) == 0
