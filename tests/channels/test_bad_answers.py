"""Bad inputs, group L, over real sockets: whatever comes back from the platform's address, a send has one meaning and a token is sound."""

import asyncio
import ipaddress
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.channels import Accepted, SendError, Verdict
from app.channels.wechat import transport
from app.channels.wechat.client import WeChat, open_http
from tests.channels.calls import FRESH, WORDS, Do, Keeper, fetches, notifies, sends
from tests.channels.platform import OPENID, account
from tests.channels.test_wechat_sockets import Handler, over_a_socket, request_of

TODAY = datetime(2026, 11, 23, tzinfo=UTC)


class Counted:
    """A server's way of answering, which counts how often it was asked."""

    def __init__(self, handler: Handler) -> None:
        self._handler, self.asked = handler, 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self._handler(reader, writer)


def answers(status: str, content: bytes = b"", *heads: str) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        lines = "".join(f"{head}\r\n" for head in (f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *heads))
        writer.write(f"{lines}\r\n".encode() + content)
        await writer.drain()

    return handle


def came_of(handler: Handler, do: Do = sends) -> object:
    """What `do` gives or raises, and that it asked once."""
    counted = Counted(handler)
    try:
        return over_a_socket(counted, do)
    except SendError as error:
        return error.verdict
    finally:
        assert counted.asked == 1


BODIES: dict[str, tuple[bytes, object]] = {
    "HTML": (b"<html><body>200 OK</body></html>", Verdict.UNKNOWN),
    "nothing": (b"", Verdict.UNKNOWN),
    "truncated": (b'{"errcode":0,"errm', Verdict.UNKNOWN),
    "ten megabytes": (b'{"errcode":0,"x":"' + b"x" * 10_000_000 + b'"}', Verdict.UNKNOWN),
    "another charset": ('{"errcode":0,"errmsg":"好"}'.encode("gb18030"), Verdict.UNKNOWN),
    "errcode as text": (b'{"errcode":"0","errmsg":"ok"}', Accepted()),
    "a refusal as text": (b'{"errcode":"45015","errmsg":"out of time"}', Verdict.WINDOW_CLOSED),
    "no errcode": (b'{"errmsg":"ok"}', Verdict.UNKNOWN),
    "two objects": (b'{"errcode":0}{"errcode":45015}', Verdict.UNKNOWN),
    "a listed refusal": (b'{"errcode":45015,"errmsg":"out of time"}', Verdict.WINDOW_CLOSED),
    "never seen": (b'{"errcode":987654,"errmsg":"?"}', Verdict.BAD_MESSAGE),
}


@pytest.mark.parametrize(("content", "meaning"), BODIES.values(), ids=BODIES)
def test_l1_l5_a_body_is_accepted_refused_or_in_doubt_and_nothing_is_asked_twice(content: bytes, meaning: object) -> None:
    assert came_of(answers("200 OK", content)) == meaning


def test_l1_of_ten_megabytes_only_the_beginning_is_read() -> None:
    written = 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while written < 100_000_000:
            writer.write(b" " * 65536)
            await writer.drain()
            written += 65536

    assert came_of(pours) is Verdict.UNKNOWN
    assert written < 20_000_000, "what the kernel takes in advance, and no more"


STATUSES: dict[str, tuple[Handler, Verdict]] = {
    "429": (answers("429 Too Many Requests", b"slow down"), Verdict.WAIT_MINUTE),
    "502": (answers("502 Bad Gateway", b"<html>"), Verdict.UNKNOWN),
    "500 that says yes": (answers("500 Oops", b'{"errcode":0}'), Verdict.UNKNOWN),
    "204": (answers("204 No Content"), Verdict.UNKNOWN),
    "compressed": (answers("200 OK", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"), Verdict.UNKNOWN),
}


@pytest.mark.parametrize(("handler", "verdict"), STATUSES.values(), ids=STATUSES)
def test_l2_a_status_has_its_class(handler: Handler, verdict: Verdict) -> None:
    assert came_of(handler) is verdict


def test_l2_a_redirect_to_another_host_is_not_followed() -> None:
    elsewhere: list[bytes] = []

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        elsewhere.append(await reader.read(100))
        writer.close()

    async def inside() -> list[Verdict]:
        other = await asyncio.start_server(listens, "127.0.0.2", 0)
        target = f"http://127.0.0.2:{other.sockets[0].getsockname()[1]}/cgi-bin/x"
        found = []
        for status in ("301 Moved", "302 Found", "307 Temporary", "308 Permanent"):
            verdict = await asyncio.to_thread(came_of, answers(status, b'{"errcode":0}', f"Location: {target}"))
            assert isinstance(verdict, Verdict)
            found.append(verdict)
        other.close()
        await other.wait_closed()
        return found

    assert asyncio.run(inside()) == [Verdict.UNKNOWN] * 4
    assert elsewhere == []


def certificate(folder: Path, *, host: str = "127.0.0.1", ends: timedelta = timedelta(days=365 * 50)) -> tuple[Path, Path]:
    """A certificate that nobody but itself vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api.weixin.qq.com")])
    try:
        named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - timedelta(days=3650))
        .not_valid_after(TODAY - timedelta(days=3000) + ends)
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return chain, secret


def over_tls(chain: Path, secret: Path, trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> tuple[object, list[bytes]]:
    """What a send to a real TLS server gives, and what the server read of it."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await request_of(reader))
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"errcode":0}')
        await writer.drain()
        writer.close()

    async def inside() -> object:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, secret)
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with open_http(1) as http:
                return await WeChat(account(api_base=base), Keeper(), http).send(OPENID, WORDS)
        except SendError as error:
            return error
        finally:
            server.close()
            await server.wait_closed()

    monkeypatch.setattr(transport, "_verification", lambda: trusted)
    return asyncio.run(inside()), heard


def test_l2_a_server_is_told_nothing_before_its_certificate_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = transport._verification()
    cases = {"unknown issuer": {}, "another host": {"host": "api.weixin.qq.com"}, "past its time": {"ends": timedelta(days=1)}}
    for name, how in cases.items():
        chain, secret = certificate(tmp_path, **how)  # type: ignore[arg-type]  # each by its own name
        believing = ssl.create_default_context(cafile=str(chain))
        for trusted in [ours] if name == "unknown issuer" else [ours, believing]:
            outcome, heard = over_tls(chain, secret, trusted, monkeypatch)
            assert isinstance(outcome, SendError), name
            assert outcome.verdict is Verdict.NOT_SENT, name
            assert heard == [], f"{name}: the token went out"
    chain, secret = certificate(tmp_path)
    outcome, heard = over_tls(chain, secret, ssl.create_default_context(cafile=str(chain)), monkeypatch)
    assert (outcome, len(heard)) == (Accepted(), 1), "a certificate that is believed and fits"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(0, 60), (-7, 60), (None, 60), (59, 60), (7_201, 7_200), (10**18, 7_200), (5_400, 5_400)],
)
def test_l3_the_life_of_a_token_stays_within_its_bounds(said: int | None, seconds: int) -> None:
    body = {"access_token": FRESH} | ({} if said is None else {"expires_in": said})
    assert came_of(answers("200 OK", json.dumps(body).encode()), fetches) == (FRESH, timedelta(seconds=seconds))


@pytest.mark.parametrize("token", ["a\nb", "x" * 600, "", "a b", "密", "a\u0000", 5, None, ["a"]], ids=repr)
def test_l3_a_malformed_token_is_no_token(token: object) -> None:
    assert came_of(answers("200 OK", json.dumps({"access_token": token, "expires_in": 7200}).encode()), fetches) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"1", "1"),
        (b"9223372036854775807", str(2**63 - 1)),
        (b"18446744073709551615", str(2**64 - 1)),
        (b'"200163836"', "200163836"),
        (b"null", None),
        (b"1.5", None),
        (b"true", None),
        (b'"a\\nb"', None),
        (b'"' + b"9" * 100 + b'"', None),
    ],
)
def test_l4_a_message_number_is_text_or_none_over_the_wire(said: bytes, kept: str | None) -> None:
    assert came_of(answers("200 OK", b'{"errcode":0,"errmsg":"ok","msgid":' + said + b"}"), notifies) == Accepted(kept)


def test_l4_a_message_without_a_number_is_accepted_all_the_same() -> None:
    assert came_of(answers("200 OK", b'{"errcode":0}'), notifies) == Accepted(None)
