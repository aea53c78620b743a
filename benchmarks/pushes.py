"""Makes pushes as the platform sends them: signed, AES-encrypted, each a new message of the next person, ready for a socket."""

import base64
import random
import secrets
from collections.abc import Iterable, Iterator, Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app import clock
from app.channels.wechat.envelope import encrypt, key_bytes, sign
from benchmarks.town import ACCOUNT, Town

#: Small talk for which no bot but the last one has an answer; the number makes each one new, so that no echo is suspected.
_TALK = (
    "今天练习了一会儿，心里安静了一些",
    "昨晚的冥想让我想起小时候的院子",
    "这周的录音我听了好几遍",
    "早上起来先坐了一会儿，窗外在下雨",
    "和同伴聊过以后轻松多了",
    "课上讲的那段话我抄在本子上了",
)


def requests(town: Town, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` pushes as whole HTTP requests, each with the openid of who writes; another `seed` makes other messages."""
    chance = random.Random(seed)
    people = list(town.openids)
    chance.shuffle(people)
    talk = ((people[number % len(people)], f"{_TALK[number % len(_TALK)]}，第{seed}轮第{number}句。") for number in range(count))
    yield from _pushed(town, seed, talk)


def scripted(town: Town, seed: int, people: int, script: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The first so many people each say these words, one after the other; all say the first before anybody says the second."""
    yield from _pushed(town, seed, ((openid, words) for words in script for openid in town.openids[:people]))


def _pushed(town: Town, seed: int, said: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    now = int(clock.now().timestamp())
    for number, (openid, text) in enumerate(said):
        plain = (
            f"<xml><ToUserName><![CDATA[{town.original_id}]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
            f"<CreateTime>{now}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>"
            f"<MsgId>{(24_000_000 + seed) * 10**9 + number}</MsgId></xml>"
        )
        yield openid, _request(town, openid, plain, str(now))


def _request(town: Town, openid: str, plain: str, timestamp: str) -> bytes:
    encrypted, nonce = encrypt(plain.encode(), town.aes_key, town.appid), secrets.token_hex(5)
    body = f"<xml><ToUserName><![CDATA[{town.original_id}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
    query = (
        f"signature={sign(town.token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}&openid={openid}"
        f"&encrypt_type=aes&msg_signature={sign(town.token, timestamp, nonce, encrypted)}"
    )
    head = (
        f"POST /hooks/wechat/{ACCOUNT}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def decrypted(town: Town, body: bytes) -> str:
    """The plain XML of an encrypted reply. Raises `ValueError` where it is none."""
    _, found, rest = body.partition(b"<Encrypt><![CDATA[")
    if not found:
        raise ValueError("not encrypted")
    key = key_bytes(town.aes_key)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    clear = decryptor.update(base64.b64decode(rest.partition(b"]]>")[0], validate=True)) + decryptor.finalize()
    end = 20 + int.from_bytes(clear[16:20], "big")
    if clear[end : -clear[-1]] != town.appid.encode():
        raise ValueError("another appid")
    return clear[20:end].decode()
