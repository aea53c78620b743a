"""Who may open a questionnaire page and until when, and what else may be sent to it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app import people
from app.assembly import assemble
from app.db import Database
from app.models import Person
from app.people import Known
from app.questionnaires import pages, sheets, waves
from app.questionnaires.pages import AnswerLinks
from app.web import answering
from bots.effects import Decline
from tests.app.devices import (
    Device,
    assignment,
    device,
    open_ones,
    put,
    standing,
    states,
    stored,
    the_sheet,
    with_form,
)
from tests.delivery.scene import NOW, Desk, at


def test_whoever_has_no_right_to_a_page_gets_the_same_sentence(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person, other = desk.person(), desk.person("王芳")
        wave = put(desk)
        mine, theirs = assignment(desk, person, wave), assignment(desk, other, wave)
        links: AnswerLinks = desk.assembly.answering
        token, foreign = links.token(mine, NOW), links.token(theirs, NOW)
        number, until, signature = token.split(".")
        wrong = [
            *(
                f"{foreign.split('.')[0]}.{until}.{signature}",
                f"{number}.{int(until) + 1}.{signature}",
                f"{number}.{until}.{signature[:-1]}",
            ),
            *(f"0{token}", f"{token}A", f"{number}.{until}.", f"{number}..{signature}", number, "%00", "%ff.%ff.%ff", "x" * 3000),
            *(
                f"９{token}",
                f"-{token}",
                links.token(mine, NOW - timedelta(days=7)),
                links.token(12345, NOW),
                f"{10**18}.{until}.{signature}",
            ),
            f"{number}.{desk.keyring.vault.sign('read', number, 22)}",
            f"{number}.{until}.{desk.keyring.vault.sign('read', f'{number}.{until}', 22)}",
        ]
        with device(desk, mine) as phone:
            answers = [phone.ask(method, f"/q/{each}").answer for each in wrong for method in ("GET", "POST")]
            assert {answer.status_code for answer in answers} == {404}
            assert len({answer.text for answer in answers}) == 1
            assert phone.page.by_class["text"] == [
                "这个链接已经失效了，或者现在没有要答的问卷。想看看有没有，请在聊天里发「问卷」。",
                "This link has expired, or nothing is open for you just now. To see what there is, send “questionnaire” in the chat.",
            ]
        assert (stored(desk, mine), [state for state, _ in states(desk, mine)]) == ([], ["invited"])


def test_a_link_is_good_for_a_week_and_not_a_second_longer(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        links = desk.assembly.answering
        token = links.token(77, NOW)
        assert links.url(77, NOW) == f"{desk.assembly.settings.public_url}/q/{token}"
        assert desk.tools.answer_url(77, NOW) == links.url(77, NOW)
        assert links.assignment(token, NOW + pages.GOOD_FOR - timedelta(microseconds=1)) == 77
        assert links.assignment(token, NOW + pages.GOOD_FOR) is None


def _erase(desk: Desk, person: Known) -> None:
    desk.write(lambda tx: people.erase(tx, desk.keyring, person.id, NOW, actor="operator"))


def _withdraw(desk: Desk, person: Known) -> None:
    desk.write(lambda tx: people.withdraw(tx, person.id, NOW, erase_answers=True, actor="operator"))


def _leave(desk: Desk, person: Known) -> None:
    desk.write(lambda tx: people.left(tx, person, NOW))


def _decline(desk: Desk, person: Known) -> None:
    def decline(tx: sa.Connection) -> None:
        asked = open_ones(tx, desk, person)
        sheets.decline(tx, asked, Decline(asked[0].id), NOW)

    desk.write(decline)


@pytest.mark.parametrize("end", [_erase, _withdraw, _leave, _decline])
def test_who_has_left_finds_nothing_open_and_a_page_that_lay_open_stores_nothing(
    database_url: str, end: Callable[[Desk, Known], None]
) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(desk))
        with device(desk, mine) as phone:
            nothing = phone.open(address="/q/1.x").answer.text
            form = {**phone.open().tap("3，不太快乐").page.hidden, "value": "4"}
            end(desk, person)
            before = stored(desk, mine)
            asks: tuple[Callable[[], Device], ...] = (phone.open, lambda: phone.send(form), lambda: phone.open("rest=1"))
            for ask in asks:
                assert ask().answer.status_code == 404
                assert phone.answer.text == nothing
        assert stored(desk, mine) == before


def test_who_comes_back_after_leaving_goes_on_under_the_same_link(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        mine = assignment(desk, person, put(desk))
        with device(desk, mine) as phone:
            phone.open().tap("3，不太快乐")
            _leave(desk, person)
            assert phone.open().answer.status_code == 404
            desk.write(lambda tx: people.came(tx, person, desk.openid(1), NOW))
            assert phone.open().place == "主观幸福感 2/4 · 总 2/4"


def test_the_window_ends_at_its_very_moment_and_that_moment_is_outside(database_url: str) -> None:
    closes = NOW + timedelta(hours=1)
    with Desk(database_url) as desk:
        mine = assignment(desk, desk.person(), put(desk, closes_at=closes))
        with device(desk, mine) as phone:
            assembly = desk.assembly
            with standing(closes - timedelta(microseconds=1)):
                phone.open().tap("3，不太快乐")
                form = {**phone.page.hidden, "value": "4"}
            with standing(closes):
                assert phone.send(form).heading == "这份问卷已经结束了"
                assert phone.open().page.by_class["text"] == ["约定的时间过了，现在不能再答。你之前答过的都收好了，谢谢你。"]
                before = phone.answer.text
                while assembly.database.write_now(lambda tx: waves.go_on(tx, desk.tools, closes)):
                    pass
                assert [state for state, _ in states(desk, mine)][-1] == "window_closed"
                assert phone.open().answer.text == before, "the same a minute later"
                assert phone.send(form).answer.text == before
        assert [row[1] for row in stored(desk, mine)] == [1]


def test_where_late_answers_are_kept_the_page_says_that_it_is_late(database_url: str) -> None:
    closes = NOW + timedelta(hours=1)
    with Desk(database_url) as desk:
        mine = assignment(desk, desk.person(), put(desk, closes_at=closes, late="keep"))
        with device(desk, mine) as phone:
            with at(NOW):
                assert phone.open().told == []
            with at(closes):
                assert phone.open().told == ["原定的时间已经过了。现在答的也收，会记成补答。"]
                phone.tap("3，不太快乐")
        assert [row[1] for row in stored(desk, mine)] == [1]


def test_the_last_thanks_name_what_else_is_put_to_the_person(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        person = desk.person()
        first = assignment(desk, person, put(desk, code="a"))
        put(desk, code="b", closes_at=NOW + timedelta(days=9))
        with device(desk, first) as phone:
            phone.open()
            while phone.asked:
                phone.send({**phone.page.hidden, "value": "4"})
            assert "另外还有「b」等着你" in phone.tap("交上这一份").page.by_class["text"][-1]


STRANGE = [
    {},
    {"sheet": "x", "item": "1", "value": "1"},
    {"sheet": "99999999999999999999", "item": "1", "value": "1"},
    {"item": "99", "value": "1"},
    {"item": "1", "value": "8"},
    {"item": "1", "value": "-1"},
    {"item": "1", "value": "１"},
    {"item": "1", "value": "1" * 400},
    {"item": "1", "value": ""},
    {"item": "1"},
    {"item": "1", "text": "好"},
    {"item": "1", "value": "1", "again": "7"},
    {"item": "1", "value": "1", "again": "x"},
    {"item": "3", "skip": ""},
    {"handin": "x"},
    {"show": "x"},
    {"show": "4"},
    {"again": "\ud800"},
]


def test_strange_fields_are_told_in_a_sentence_and_store_nothing(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        sheet = str(the_sheet(desk, mine))
        with device(desk, mine) as phone:
            bodies = [urlencode({"sheet": sheet, **fields}, errors="surrogatepass").encode() for fields in STRANGE]
            bodies += [f"sheet={sheet}&item=1&value=1&value=2".encode(), b"\xff\xfe", b"a=%ff", b"&".join(b"a%d=1" % n for n in range(99))]
            for body in bodies:
                phone.ask("POST", phone.address, content=body)
                assert phone.answer.status_code in (200, 422), body
                assert phone.asked, body
                assert phone.answer.status_code == 200 or len(phone.told) == 1, body
            for question in (
                "item=x",
                "item=99",
                "sheet=1&item=1",
                "kept=1",
                "thanks=1",
                f"thanks={sheet}",
                "item=1&item=2",
                "%ff=%00",
                "rest",
            ):
                assert phone.open(question).answer.status_code == 200, question
        assert stored(desk, mine) == []


def test_a_form_larger_than_any_of_ours_is_refused(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            form = phone.open().page.hidden
            phone.send({**form, "value": "3", "more": "x" * 9000})
            assert phone.answer.status_code == 413
            assert len(phone.page.by_class["text"]) == 2
            phone.send({**form, "value": "3", "more": "x" * 7000})
            assert phone.answer.status_code == 200
        assert len(stored(desk, mine)) == 1


def test_the_page_brings_no_script_and_loads_nothing_of_others(database_url: str) -> None:
    with Desk(database_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(desk))
        with device(desk, mine) as phone:
            for asked in ("", "rest=1", "help=lines"):
                headers = phone.open(asked).answer.headers
                for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
                    assert part in headers["content-security-policy"]
                assert "script" not in headers["content-security-policy"]
                assert headers["cache-control"] == "no-store"
                assert headers["referrer-policy"] == "no-referrer"
                assert headers["x-content-type-options"] == "nosniff"
                assert not any(word in phone.answer.text for word in ("<script", "http:", "https:", " style=", " onclick="))
            assert phone.ask("GET", "/static/answer.css").answer.status_code == 200
            assert phone.ask("PUT", phone.address).answer.status_code == 405


def test_while_somebody_else_holds_the_person_the_page_says_to_try_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 0.3)
    with Desk(database_url) as desk, at(NOW), Database(database_url) as other:
        person = desk.person()
        mine = assignment(desk, person, put(desk))
        held, go = threading.Event(), threading.Event()

        def hold(tx: sa.Connection) -> None:
            tx.execute(sa.update(Person).where(Person.id == person.id).values(language="zh"))
            held.set()
            go.wait(10)

        with device(desk, mine) as phone:
            form = {**phone.open().page.hidden, "value": "3"}
            thread = threading.Thread(target=other.write_now, args=(hold,))
            thread.start()
            held.wait()
            try:
                asks: tuple[Callable[[], Device], ...] = (phone.open, lambda: phone.send(form))
                for ask in asks:
                    assert ask().answer.status_code == 503
                    assert "请过一分钟再试" in phone.page.by_class["text"][0]
            finally:
                go.set()
                thread.join()
            phone.send(form)  # as the sentence says: once more
            assert phone.open().place == "主观幸福感 2/4 · 总 2/4"
        assert [row[1:4] for row in stored(desk, mine)] == [(1, 1, 3)], "whether the first came through late or not"


def test_nothing_of_what_somebody_answers_is_in_the_log(sqlite_url: str, tmp_path: Path, logged: Callable[[], str]) -> None:
    with Desk(sqlite_url) as desk, at(NOW):
        mine = assignment(desk, desk.person(), put(with_form(desk, tmp_path), ("form",)))
        with device(desk, mine) as phone:
            phone.open().type("1990-05-02").type("36").type("乌鲁木齐")
            phone.send({"text": "乌鲁木齐"})
            token = phone.address.removeprefix("/q/")
            written = logged()
        assert not any(word in written for word in ("乌鲁木齐", "19900502", token.rpartition(".")[2]))


def test_every_assembly_makes_links_for_the_chat(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk:
        assert assemble(desk.assembly.settings).tools.answer_url(5, NOW).startswith(f"{desk.assembly.settings.public_url}/q/5.")
