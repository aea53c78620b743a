"""Hides expat: turns a hostile body into the flat fields of one WeChat push, or refuses it before anything can grow.

Limits come from bad-inputs.md, B1-B7: 64 KiB, depth 8, 200 elements, no attributes, no DOCTYPE, UTF-8 only.
"""

import re
import unicodedata
from collections.abc import Mapping
from xml.parsers import expat

from app.channels import BadPush

#: Bytes of a push that are looked at; the largest real one (a mass-send report) has a few KiB.
MOST_BYTES = 64 * 1024
MOST_DEPTH = 8
MOST_ELEMENTS = 200
#: Fields of a push that is read the short way.
_MOST_FLAT = 50

Value = str | dict[str, "Value"] | list["Value"]
Fields = Mapping[str, Value]

#: The two names that the platform repeats (`SubscribeMsgPopupEvent/List`, `PicList/item`): one of them is a list as well.
_LISTS = frozenset({"List", "item"})
#: The envelope of safe mode, in plain ASCII without a mark that means something to XML.
_ENVELOPE = re.compile(
    rb"<xml>\s*<ToUserName><!\[CDATA\[([A-Za-z0-9_-]{1,64})\]\]></ToUserName>"
    rb"\s*<Encrypt><!\[CDATA\[([A-Za-z0-9+/=]{1,65000})\]\]></Encrypt>\s*</xml>\s*"
)
#: One flat field: characters in CDATA, or plain ones without a mark that means something to XML; no line end that a reader would change.
_FIELD = re.compile(r"[ \t\n]*<([A-Za-z_][A-Za-z0-9_]{0,63})>(?:<!\[CDATA\[((?:[^\]\r]|\](?!\]>))*)\]\]>|([^<&\]\r]*))</\1>")
_OPENED, _CLOSED = "<xml>", re.compile(r"[ \t\n]*</xml>[ \t\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def parse(body: bytes) -> tuple[Fields, bool]:
    """The fields under `<xml>`, and whether raw characters that XML forbids were dropped on the way. Raises `BadPush`."""
    usual = _ENVELOPE.fullmatch(body)
    if usual is not None:  # as the platform writes it: nothing in it could be read in two ways, and the reader need not be asked
        return {"ToUserName": usual[1].decode(), "Encrypt": usual[2].decode()}, False
    text = _decode(body)
    legal = _NOT_XML.sub("", text)
    return _flat(legal) or _Reader().read(legal), legal != text


def _flat(text: str) -> Fields | None:
    """The fields of a push as the platform writes nearly all, or None where the reader must be asked, which costs five times as much."""
    if not text.startswith(_OPENED):
        return None
    fields: dict[str, Value] = {}
    place = len(_OPENED)
    while (found := _FIELD.match(text, place)) is not None:
        name, marked, bare = found.groups()
        if name in fields or len(fields) >= _MOST_FLAT:
            return None
        fields[name] = bare if marked is None else marked
        place = found.end()
    return fields if _CLOSED.fullmatch(text, place) else None


def text_of(fields: Fields, name: str) -> str:
    """The text of a field, empty where it is missing. Raises `BadPush` where elements stand instead of text."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise BadPush("elements in a text field")
    return value


def clean_text(raw: str) -> tuple[str, bool]:
    r"""The text without NUL, C0 and C1 controls, U+FFFE, U+FFFF and lone surrogates, and whether any was there.

    Line ends become `\n`, tabs and writing-direction marks stay: both databases then hold the same (bad-inputs.md D2, D3).
    """
    lines = raw.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", lines)
    return text, text != lines


def is_blank(text: str) -> bool:
    """Whether nothing in the text can be seen: spaces of any width, line ends, zero-width marks."""
    return all(each.isspace() or unicodedata.category(each) in {"Cf", "Zs"} for each in text)


def _decode(body: bytes) -> str:
    if len(body) > MOST_BYTES:
        raise BadPush("too large")
    if body.lstrip()[:1] in {b"{", b"["}:
        raise BadPush("json")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadPush("not utf-8") from None


class _Reader:
    """One document being read: a stack of open elements, each with its name, children and text so far."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[str, Value], list[str]]] = []
        self._elements = 0
        self._root: Value = ""

    def read(self, text: str) -> Fields:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.XmlDeclHandler = _check_declaration
        parser.StartDoctypeDeclHandler = _refuse("doctype")
        parser.EntityDeclHandler = _refuse("entity")
        parser.ProcessingInstructionHandler = _refuse("processing instruction")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(text.encode(), True)
        except (expat.ExpatError, ValueError):
            raise BadPush("not xml") from None
        return self._root if isinstance(self._root, dict) else {}

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if attributes:
            raise BadPush("attributes")
        if not _NAME.fullmatch(name):
            raise BadPush("element name")
        if not self._open and name != "xml":
            raise BadPush("root")
        if self._elements > MOST_ELEMENTS or len(self._open) >= MOST_DEPTH:
            raise BadPush("too deep or too many elements")
        self._open.append((name, {}, []))

    def _text(self, text: str) -> None:
        self._open[-1][2].append(text)

    def _end(self, name: str) -> None:
        _, children, pieces = self._open.pop()
        text = "".join(pieces)
        if children and text.strip():
            raise BadPush("text between elements")
        value: Value = children or text
        if self._open:
            self._keep(name, value)
        elif text.strip():
            raise BadPush("text between elements")
        else:
            self._root = value

    def _keep(self, name: str, value: Value) -> None:
        siblings = self._open[-1][1]
        if name in _LISTS and len(self._open) > 1:
            items = siblings.setdefault(name, [])
            if isinstance(items, list):
                items.append(value)
        elif name in siblings:
            raise BadPush("duplicate")
        else:
            siblings[name] = value


class _refuse:  # noqa: N801 -- reads as the verb it is where it is used
    """A handler for what may not occur in a push."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __call__(self, *_: object) -> None:
        raise BadPush(self._reason)


def _check_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in {"utf-8", "utf8"}:
        raise BadPush("declared encoding")
