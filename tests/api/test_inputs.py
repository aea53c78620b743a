"""Whatever is sent gets an answer in one sentence, which repeats nothing of it; never a 5xx, and nothing is changed (bad-inputs.md H)."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models import IdempotencyKey, Schedule
from app.web.api import gate
from app.web.api.bodies import MOST_BYTES
from bots.texts import LANGUAGES
from tests.api.calling import System, calling, integration
from tests.delivery.scene import NOW, Desk, at

MARK = "xyzzy9"
FIELD_NAMES = ("text", "groups", "at", "again")


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    with Desk(sqlite_url) as desk, at(NOW):
        yield desk


def changed(desk: Desk) -> int:
    """How much was done."""
    counts = [sa.select(sa.func.count()).select_from(table) for table in (Schedule, IdempotencyKey)]
    return desk.read(lambda tx: sum(tx.execute(each).scalar_one() for each in counts))


def refused(answer: httpx.Response, *sent: str) -> str:
    """The code of a refusal, after it was seen to be one."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"title", "status", "code", "detail"}
    assert problem["status"] == answer.status_code
    assert "\n" not in problem["detail"]
    assert not any(each in answer.text for each in sent if len(each) > 3)
    return str(problem["code"])


def posted(desk: Desk, system: System, body: bytes, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {system.token}", "idempotency-key": "k", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return system.raw("POST", f"/courses/{desk.course_id}/announcements", list(sent.items()), body)


def test_every_refusal_is_one_sentence_in_each_language() -> None:
    words = gate.words()
    keys = sorted(key for key in words.keys() if key.startswith("refused."))  # noqa: SIM118 - `Texts` is no dict
    gaps: dict[str, Any] = dict.fromkeys(("scope", "names", "name", "wants"), "x") | dict.fromkeys(("most", "seconds"), 1)
    for language in LANGUAGES:
        for key in keys:
            said = words.fill(key, language, **gaps)
            assert re.fullmatch(r"[^\n]+[.。]", said), key
            assert not re.search(r"[。！？].|[.!?] [A-Z]", said), f"{key}: more than one sentence"


BODIES = [
    (b"", "json"),
    (b"{", "json"),
    (b"{}}", "json"),
    (b"'text'", "json"),
    (b'{"text": NaN}', "json"),
    (b'{"text": Infinity}', "json"),
    (b'{"text": -Infinity}', "json"),
    (b'{"text": 1e999}', "json"),
    (b'{"text": ' + b"9" * 5_000 + b"}", "json"),
    (b'{"text": ' + b"[" * 15_000 + b"}", "json"),
    (b'{"text": ' + b"[" * 100 + b"]" * 100 + b"}", "json"),
    (b'{"text": "a", "text": "xyzzy9"}', "json"),
    ('{"text": "xyzzy9"}'.encode("utf-16"), "json"),
    (b'\xef\xbb\xbf{"text": "xyzzy9"}', "json"),
    (b'{"text": "\xff\xfe"}', "json"),
    (b'{"text": "\xed\xa0\x80"}', "json"),
    (b'{"text": "a\nb"}', "json"),
    (b"[]", "object"),
    (b"null", "object"),
    (b"1", "object"),
    (b'"xyzzy9"', "object"),
    (b'{"text": "\\ud800xyzzy9"}', "unsayable"),
    (b'{"text": "\\u0000xyzzy9"}', "unsayable"),
    (b'{"\\udfffxyzzy9": 1}', "unsayable"),
    (b'{"text": "\\ufffe"}', "unsayable"),
    (b'{"groups": ["\\u001bxyzzy9"]}', "unsayable"),
    (b'{"text": "' + b"x" * MOST_BYTES + b'"}', "large"),
]


def test_h5_what_is_no_plain_json(desk: Desk) -> None:
    with calling(desk) as system:
        for body, code in BODIES:
            assert refused(posted(desk, system, body), MARK) == code, body[:60]
        assert changed(desk) == 0


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"text": None}, "field"),
    ({"text": 1}, "field"),
    ({"text": True}, "field"),
    ({"text": [MARK]}, "field"),
    ({"text": {"a": MARK}}, "field"),
    ({"text": "x" * 4_001}, "field"),
    ({"groups": MARK}, "field"),
    ({"groups": []}, "field"),
    ({"groups": [1]}, "field"),
    ({"groups": [True]}, "field"),
    ({"groups": ["-1"]}, "field"),
    ({"groups": ["9" * 19]}, "field"),
    ({"groups": ["１"]}, "field"),
    ({"groups": [["1"]]}, "field"),
    ({"groups": {"0": "1"}}, "field"),
    ({"groups": ["1"] * 51}, "field"),
    ({"at": 5}, "field"),
    ({"at": 1e300}, "field"),
    ({"at": None}, "field"),
    ({"at": "x" * 41}, "field"),
    ({"again": "true"}, "field"),
    ({"again": 1}, "field"),
    ({MARK: 1}, "fields"),
    ({"author": 1}, "fields"),
    ({"by_mass": True}, "fields"),
    ({"integration_id": 1}, "fields"),
    ({"text ": MARK}, "fields"),
    ({"": MARK}, "fields"),
    ({"__proto__": {"again": True}}, "fields"),
]


def test_h3_a_field_of_another_type_or_name_is_refused_by_its_own_name(desk: Desk) -> None:
    good = {"text": "今晚见", "groups": [str(desk.group)], "at": "now"}
    with calling(desk) as system:
        for fields, code in FIELDS:
            answer = posted(desk, system, json.dumps({**good, **fields}).encode())
            assert refused(answer, MARK) == code, fields
            assert code != "field" or next(iter(fields)) in answer.json()["detail"]
        for name in good:
            answer = posted(desk, system, json.dumps({each: good[each] for each in good if each != name}).encode())
            assert refused(answer) == "field_missing"
            assert name in answer.json()["detail"]
        assert changed(desk) == 0


KINDS = [
    ({"content_type": "text/plain"}, "kind"),
    ({"content_type": "application/x-www-form-urlencoded"}, "kind"),
    ({"content_type": "multipart/form-data; boundary=x"}, "kind"),
    ({"content_type": "application/json; charset=gbk"}, "kind"),
    ({"content_type": ""}, "kind"),
    ({"content_encoding": "gzip"}, "encoding"),
]


def test_another_kind_of_body_is_refused(desk: Desk) -> None:
    with calling(desk) as system:
        body = json.dumps({"text": MARK, "groups": [str(desk.group)], "at": "now"}).encode()
        for headers, code in KINDS:
            assert refused(posted(desk, system, body, **headers), MARK) == code, headers
        assert changed(desk) == 0
        assert posted(desk, system, body, content_type="APPLICATION/JSON; charset=UTF-8").status_code == 201


QUERIES = [
    ("fields=openid", "query"),
    ("sort=name", "query"),
    ("filter[nickname]=xyzzy9", "query"),
    ("expand=identity", "query"),
    ("limit=1&limit=2", "query_twice"),
    ("after=xyzzy9", "after"),
    ("after=-1", "after"),
    ("after=0", "after"),
    ("after=" + "9" * 19, "after"),
    ("after=1%00", "after"),
    ("after=%F0%9F%98%80", "after"),
    ("after=1' OR 1=1", "after"),
    ("limit=1000000000", "limit"),
]


def test_h2_h6_a_parameter_that_nothing_takes_is_refused(desk: Desk) -> None:
    with calling(desk) as system:
        for query, code in QUERIES:
            assert refused(system.get(f"/courses?{query}"), MARK) == code, query
        assert refused(system.get(f"/courses/{desk.course_id}?limit=1")) == "no_query"


def test_a_request_without_fields_takes_none(desk: Desk) -> None:
    with calling(desk) as system:
        body = {"text": "今晚见", "groups": [str(desk.group)], "at": "now"}
        planned = system.post(f"/courses/{desk.course_id}/announcements", body).json()["announcements"][0]["id"]
        assert refused(system.post(f"/announcements/{planned}/cancel", {MARK: 1}), MARK) == "no_fields"
        sent = [("authorization", f"Bearer {system.token}"), ("idempotency-key", "k")]
        assert system.raw("POST", f"/announcements/{planned}/cancel", sent, b"").status_code == 200


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "groups", "at", "again"]) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=8,
)
_NEARLY = st.fixed_dictionaries({}, optional={"text": _JSON, "groups": _JSON, "at": _JSON | st.just("now"), "again": _JSON})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), _JSON | _NEARLY))
def test_nothing_that_is_sent_is_our_mistake(desk: Desk, hearing: System, body: bytes) -> None:
    refused(posted(desk, hearing, body))
    assert changed(desk) == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=30), query=st.text(max_size=20))
def test_no_address_is_our_mistake(hearing: System, path: str, query: str) -> None:
    from urllib.parse import quote

    answer = hearing.get(f"/courses/{quote(path, safe='/')}?{quote(query, safe='=&', errors='replace')}")
    assert answer.status_code in (200, 404, 422)


@pytest.fixture
def hearing(desk: Desk) -> Iterator[System]:
    with System(desk.assembly, integration(desk)[1]) as system:
        yield system


def test_a_bug_is_one_sentence_and_tells_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.integrations import reading

    def raises(*_: object) -> None:
        raise RuntimeError(MARK)

    monkeypatch.setattr(reading, "courses", raises)
    with calling(desk) as system:
        answer = system.get("/courses")
        assert (answer.status_code, answer.json()["code"]) == (500, "trouble")
        assert MARK not in answer.text
