"""The hardened reader and the text normaliser: cases B1-B7 and D2-D4."""

import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels import BadPush
from app.channels.wechat import xml
from app.channels.wechat.xml import MOST_BYTES, clean_text, is_blank, parse


def fields(body: str | bytes) -> object:
    return parse(body.encode() if isinstance(body, str) else body)[0]


def refused(body: str | bytes) -> str:
    with pytest.raises(BadPush) as caught:
        fields(body)
    return caught.value.reason


#: What a document is cut up with: every mark that means something to XML, and line ends and spaces of all kinds.
MARKS = ["<", ">", "]]>", "]", "<![CDATA[", "&amp;", "&", "\r", "\n", "\t", " ", "\x85", "\u2028", "\ufeff", "<!--", "-->"]
MARKS += ["<A>", "</A>", "<A/>", "<xml>", "</xml>", "<List>", "</List>", "<item>", "</item>", "/", "x", "好", "<?p?>"]
USUAL = (
    "<xml><ToUserName><![CDATA[gh_0]]></ToUserName><CreateTime>1700000000</CreateTime> "
    "<Content><![CDATA[晚安]]></Content>\n<List>1</List></xml>"
)
CUTS = st.lists(st.tuples(st.integers(0, len(USUAL)), st.integers(0, 6), st.sampled_from(MARKS)), max_size=4)


@given(CUTS)
def test_what_is_read_the_short_way_is_what_the_reader_reads(cuts: list[tuple[int, int, str]]) -> None:
    text = USUAL
    for place, length, mark in cuts:
        text = text[:place] + mark + text[place + length :]
    short = xml._flat(text)
    if short is not None:
        assert short == xml._Reader().read(text)


def test_the_usual_push_is_read_the_short_way() -> None:
    assert xml._flat(USUAL) == {"ToUserName": "gh_0", "CreateTime": "1700000000", "Content": "晚安", "List": "1"}
    assert xml._flat(f"<xml>{''.join(f'<F{n}>1</F{n}>' for n in range(60))}</xml>") is None


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "body",
    [
        f'<!DOCTYPE xml [<!ENTITY l0 "ha">{LAUGHS}]><xml><Content>&l9;</Content></xml>',
        f'<!DOCTYPE xml [<!ENTITY a "{"a" * 30_000}">]><xml><Content>{"&a;" * 5_000}</Content></xml>',
        "<!DOCTYPE xml [<!ENTITY % p \"<!ENTITY x 'y'>\"> %p;]><xml><Content>&x;</Content></xml>",
        '<?xml version="1.0"?><!DOCTYPE xml><xml><Content>a</Content></xml>',
    ],
    ids=["billion laughs", "quadratic", "parameter entity", "bare doctype"],
)
def test_b1_entities_are_refused_before_they_grow(body: str) -> None:
    start = time.perf_counter()
    assert refused(body) == "doctype"
    assert time.perf_counter() - start < 0.05  # 5 ms, with room for a loaded machine


def test_b2_an_external_entity_opens_no_file_and_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        for target in ("file:///etc/passwd", address):
            assert refused(f'<!DOCTYPE xml [<!ENTITY x SYSTEM "{target}">]><xml><Content>&x;</Content></xml>') == "doctype"
            assert refused(f'<!DOCTYPE xml SYSTEM "{target}"><xml><Content>a</Content></xml>') == "doctype"
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<xml>" + "<a>" * 10_000 + "</a>" * 10_000 + "</xml>", "too large"),
        ("<xml>" + "<a>" * 5_000 + "</a>" * 5_000 + "</xml>", "too deep or too many elements"),
        ("<xml>" + "<a>" * 8 + "</a>" * 8 + "</xml>", "too deep or too many elements"),
        ("<xml>" + "".join(f"<a{n}/>" for n in range(200)) + "</xml>", "too deep or too many elements"),
        (f'<xml a="{"x" * 60_000}"><Content>a</Content></xml>', "attributes"),
        ("<xml " + " ".join(f'a{n}="1"' for n in range(1_000)) + "/>", "attributes"),
        ("<xml><?php system('id') ?><Content>a</Content></xml>", "processing instruction"),
        ('<xml xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></xml>', "attributes"),
        ("<xml><xi:include/></xml>", "element name"),
    ],
    ids=lambda each: each[:30],
)
def test_b3_depth_breadth_attributes_and_instructions_are_refused(body: str, reason: str) -> None:
    assert refused(body) == reason


def test_b3_what_stays_within_the_limits_is_read() -> None:
    assert fields("<xml>" + "<a>" * 7 + "</a>" * 7 + "</xml>")
    assert fields("<xml>" + "".join(f"<a{n}/>" for n in range(199)) + "</xml>")
    assert fields(b"<xml><a>" + b"x" * (MOST_BYTES - 19) + b"</a></xml>")
    assert refused(b"<xml><a>" + b"x" * (MOST_BYTES - 15) + b"</a></xml>") == "too large"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<xml><MsgType>text</MsgType><MsgType>event</MsgType></xml>", "duplicate"),
        ("<xml><Content>a</Content><Content>b</Content></xml>", "duplicate"),
        ("<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>", "duplicate"),
        ("<xml><List>a</List><List>b</List></xml>", "duplicate"),
        ("<xml><Content a='1'>a</Content></xml>", "attributes"),
        ("<xml><w:Content>a</w:Content></xml>", "element name"),
        ("<xml xmlns='urn:x'><Content>a</Content></xml>", "attributes"),
        ("<html><Content>a</Content></html>", "root"),
        ("<XML><Content>a</Content></XML>", "root"),
        ("<xml>words<Content>a</Content></xml>", "text between elements"),
        ("<xml>words</xml>", "text between elements"),
        ("<xml><A>x<B>y</B></A></xml>", "text between elements"),
        ("<xml><Content>a</Content></xml><xml/>", "not xml"),
        ("<xml><Content>a</Content>", "not xml"),
        ("<xml><Content>&other;</Content></xml>", "not xml"),
    ],
)
def test_b4_a_body_of_another_shape_is_refused(body: str, reason: str) -> None:
    assert refused(body) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<?xml version="1.0" encoding="gbk"?><xml><Content>a</Content></xml>', "declared encoding"),
        ('<?xml version="1.0" encoding="utf-16"?><xml><Content>a</Content></xml>', "declared encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><xml><Content>+ADw-</Content></xml>', "declared encoding"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><xml/>', "declared encoding"),
        ("<xml><Content>同伴</Content></xml>".encode("gbk"), "not utf-8"),
        ("<xml><Content>同伴</Content></xml>".encode("utf-16"), "not utf-8"),
        (b"<xml><Content>\xff</Content></xml>", "not utf-8"),
        (b"<xml><Content>\xc0\xbc</Content></xml>", "not utf-8"),
        (b"<xml><Content>\xed\xa0\x80</Content></xml>", "not utf-8"),
        (b"", "not xml"),
        (b"   \n ", "not xml"),
        (b"null", "not xml"),
        (b'{"ToUserName": "gh"}', "json"),
        (b"a=1&b=2", "not xml"),
    ],
)
def test_b5_only_utf8_xml_is_read(body: str | bytes, reason: str) -> None:
    assert refused(body) == reason


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b'<?xml version="1.0" encoding="UTF-8"?>', b'\xef\xbb\xbf<?xml version="1.0"?>\n'])
def test_b5_a_byte_order_mark_and_a_true_declaration_are_tolerated(head: bytes) -> None:
    assert fields(head + "<xml><Content>同伴</Content></xml>".encode()) == {"Content": "同伴"}


def test_b6_split_cdata_and_comments_are_read_as_text() -> None:
    assert fields("<xml><Content><![CDATA[a]]]]><![CDATA[>b]]></Content></xml>") == {"Content": "a]]>b"}
    assert fields("<xml><!-- x --><Content>a<!-- <b/> -->b &lt;c&gt;</Content></xml>") == {"Content": "ab <c>"}
    assert fields("<xml><Content><![CDATA[<!DOCTYPE x><?php ?>&l9;]]></Content></xml>") == {"Content": "<!DOCTYPE x><?php ?>&l9;"}


@pytest.mark.parametrize("reference", ["&#0;", "&#xD83D;", "&#xFFFE;", "&#xFFFF;", "&#1;", "&#x110000;", "&#x1F;"])
def test_b7_references_to_characters_that_do_not_exist_are_refused(reference: str) -> None:
    assert refused(f"<xml><Content>a{reference}</Content></xml>") == "not xml"


@pytest.mark.parametrize("raw", ["\x00", "\x07", "\x1b", "\ufffe", "\uffff"])
def test_d3_raw_characters_that_xml_forbids_are_dropped_and_noted(raw: str) -> None:
    assert parse(f"<xml><Content><![CDATA[晚{raw}安]]></Content></xml>".encode()) == ({"Content": "晚安"}, True)
    assert parse("<xml><Content>晚安</Content></xml>".encode()) == ({"Content": "晚安"}, False)


def test_nested_parts_become_dictionaries_and_a_list_is_one_however_many_there_are() -> None:
    assert fields("<xml><ScanCodeInfo><ScanType>qrcode</ScanType><ScanResult>1</ScanResult></ScanCodeInfo></xml>") == {
        "ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": "1"}
    }
    one = "<List><TemplateId>t</TemplateId></List>"
    for times in (1, 2):
        body = f"<xml><SubscribeMsgPopupEvent>{one * times}</SubscribeMsgPopupEvent></xml>"
        assert fields(body) == {"SubscribeMsgPopupEvent": {"List": [{"TemplateId": "t"}] * times}}
    item = "<item><PicMd5Sum>x</PicMd5Sum></item>"
    assert fields(f"<xml><SendPicsInfo><Count>2</Count><PicList>{item}{item}</PicList></SendPicsInfo></xml>") == {
        "SendPicsInfo": {"Count": "2", "PicList": {"item": [{"PicMd5Sum": "x"}, {"PicMd5Sum": "x"}]}}
    }


def test_names_that_differ_only_in_case_are_different_fields() -> None:
    assert fields("<xml><MsgId>1</MsgId><MsgID>2</MsgID></xml>") == {"MsgId": "1", "MsgID": "2"}


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        found, _ = parse(body)
    except BadPush:
        return
    assert isinstance(found, dict)


@given(st.text(alphabet="<>/xmla ![CDAT]-&;?'\"=\n#0", max_size=60))
def test_random_markup_is_read_or_refused_and_nothing_else(inside: str) -> None:
    try:
        parse(f"<xml>{inside}</xml>".encode())
    except BadPush as bad:
        assert bad.reason  # noqa: PT017 -- both ways are right, a third is not


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\x00b", "ab"),
        ("a\x07\x1b[31mb", "a[31mb"),
        ("a\x7f\x80\x85\x9fb", "ab"),
        ("a\ufffe\uffffb", "ab"),
        ("a\ud83db", "ab"),
        ("\udc00", ""),
    ],
)
def test_d3_controls_and_lone_surrogates_are_removed_and_noted(raw: str, clean: str) -> None:
    assert clean_text(raw) == (clean, True)


@pytest.mark.parametrize(
    "text",
    [
        "晚安\n明天见\t!",
        "👨‍👩‍👧‍👦🇨🇳👍🏽",
        "a\u202eb\u2066c\u200d\ufeff",
        "e" + "\u0301" * 1000,
        "{{7*7}} ${7*7} %s%n {0.__class__} {{first.DATA}}",
    ],
)
def test_d1_d2_d7_emoji_directions_and_templates_stay_as_they_are(text: str) -> None:
    assert clean_text(text) == (text, False)


def test_line_ends_become_one_kind() -> None:
    assert clean_text("a\r\nb\rc") == ("a\nb\nc", False)


@given(st.text(st.characters(codec=None), max_size=60))
def test_clean_text_is_storable_everywhere_and_clean_for_good(raw: str) -> None:
    text, _ = clean_text(raw)
    text.encode()
    assert clean_text(text) == (text, False)


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u3000\u3000", "\u200b\u2060", "\u00a0\ufeff"])
def test_d4_what_nobody_can_see_is_blank(blank: str) -> None:
    assert is_blank(blank)
    assert not is_blank(blank + "1")
