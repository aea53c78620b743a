"""Onboarding at its end: refusals, names, staff, languages and consent texts, played against the bot alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bots.onboarding
from bots.effects import Consent, Join, NamePerson, Resume, Screen, SetLanguage
from bots.facts import InvitationFound, InvitationState
from bots.onboarding import Onboarding, create
from bots.texts import MOST_BYTES, load_texts
from bots.turns import (
    Event,
    Followed,
    Occasion,
    OccasionKind,
    Person,
    Pressed,
    Scanned,
    Tapped,
    Wrote,
)
from tests.bots.onboarding_chat import CODE, MEMBER, OPEN, OTHER, STAFF, Chat


@pytest.fixture(scope="module")
def bot() -> Onboarding:
    return create(load_texts(Path(bots.onboarding.__file__).parent))


@pytest.fixture
def chat(bot: Onboarding) -> Chat:
    return Chat(bot)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [("full", "满员"), ("closed", "停止报名"), ("used", "用掉"), ("expired", "过期"), ("joined", "已经在"), ("zzz", "没有成功")],
)
def test_each_refusal_is_put_into_words_and_claims_nothing(chat: Chat, refusal: str, words: str) -> None:
    chat.until_name()
    assert words in chat.gets(Wrote("小雨"), refusal=refusal)
    assert chat.did() == []
    assert chat.memory is None


def test_a_refusal_about_a_group_that_is_no_longer_known_claims_nothing_either(chat: Chat) -> None:
    chat.until_name()
    chat.invitations[CODE] = InvitationFound(InvitationState.UNKNOWN)
    assert "没有成功" in chat.gets(Wrote("小雨"), refusal="full")
    assert chat.did() == []


def _sources(chat: Chat) -> list[str]:
    return [each.source for each in chat.did() if isinstance(each, Screen)]


@pytest.mark.parametrize(
    ("event", "invited", "source"),
    [
        (Followed(CODE), None, "qr"),
        (Scanned(CODE), None, "qr"),
        (Wrote(CODE), None, "code"),
        (Scanned(CODE), "王强", "roster"),
        (Wrote(CODE), "王强", "roster"),
    ],
)
@pytest.mark.parametrize("language", ["中文", "English"])
def test_how_the_invitation_came_is_recorded_of_who_joins_and_of_who_declines(
    bot: Onboarding, event: Event, invited: str | None, source: str, language: str
) -> None:
    for last in (Wrote("小雨"), Wrote("2")):
        chat = Chat(bot, invitations={CODE: replace(OPEN, invited_name=invited)})
        chat.gets(event)
        chat.writes("1")
        chat.writes(language)  # the consent begins again, and the source is still known
        for _ in range(3):
            chat.writes("1")
        if last.text == "2":
            chat.writes("返回")
        else:
            chat.writes("1")
        chat.gets(last)
        assert _sources(chat) == [source]


@pytest.mark.parametrize(("event", "source"), [(Scanned(CODE), "qr"), (Wrote(CODE), "code")])
def test_how_the_invitation_came_is_still_known_when_a_late_tap_begins_anew(chat: Chat, event: Event, source: str) -> None:
    chat.gets(event)
    begin = chat.said.choices[0]
    chat.taps("以后再说")
    assert chat.memory is None
    chat.gets(Tapped(begin.id, begin.label))
    chat.taps("开始")
    chat.taps("不同意")
    assert _sources(chat) == [source]


def test_a_button_of_the_scan_counts_also_where_the_code_was_typed_since(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    begin = chat.said.choices[0]
    chat.writes("取消")
    chat.writes(CODE)
    assert "参与说明" in chat.gets(Tapped(begin.id, begin.label))
    assert "之前的一步" not in chat.said.text


@pytest.mark.parametrize("rest", [{}, {"source": "hearsay"}])
def test_who_was_on_the_way_before_the_source_was_remembered_goes_on(chat: Chat, rest: dict[str, str]) -> None:
    chat.memory = {"v": 1, "step": "consent", "code": CODE, "page": 0, "version": "2", "staff": False, **rest}
    chat.writes("不同意")
    assert _sources(chat) == ["qr"]


@pytest.mark.parametrize(("language", "words"), [("zh", "换到别的小组"), ("en", "another group")])
@pytest.mark.parametrize("event", [Scanned(OTHER), Followed(OTHER), Wrote(OTHER)])
def test_who_sits_in_another_small_group_of_the_course_is_told_which(bot: Onboarding, event: Event, language: str, words: str) -> None:
    chat = Chat(bot, Person("小雨", language, "Asia/Shanghai", MEMBER))
    chat.invitations[OTHER] = replace(OPEN, state=InvitationState.ELSEWHERE, code=OTHER, group=4, group_name="晚风组")
    text = chat.gets(event)
    assert "晨光组" in text
    assert words in text
    assert "晚风组" not in text
    assert chat.did() == []
    assert chat.memory is None


def test_who_got_a_seat_elsewhere_meanwhile_is_told_so(bot: Onboarding, chat: Chat) -> None:
    chat.until_name()
    chat.person = replace(chat.person, memberships=(replace(MEMBER[0], group=4, group_name="晚风组"),))
    assert "「晚风组」" in chat.gets(Wrote("小雨"), refusal="elsewhere")
    assert chat.did() == []
    assert chat.memory is None


def test_a_missing_consent_is_asked_again(chat: Chat) -> None:
    chat.until_name()
    assert "再看一次" in chat.gets(Wrote("小雨"), refusal="consent")
    assert chat.labels() == ["同意", "不同意", "再想想"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("小雨", "小雨"),
        ("我叫小雨。", "小雨"),
        ("“阿木”", "阿木"),
        ("My name is Imogen", "Imogen"),
        ("Imogen", "Imogen"),
        ("小雨🌧️", "小雨🌧️"),
        (" 阿 木 ", "阿 木"),
        ("张三2", "张三2"),
        ("二十个字的名字也是可以的不多不少正好二十", "二十个字的名字也是可以的不多不少正好二十"),
    ],
)
def test_a_readable_name_is_taken(chat: Chat, text: str, name: str) -> None:
    chat.until_name()
    chat.writes(text)
    assert NamePerson(name) in chat.did()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("13912345678", "电话"),
        ("139 1234 5678", "电话"),
        ("小雨１３９１２３４５６７８", "电话"),
        ("www.example.com", "网址"),
        ("加微信 abc", "账号"),
        ("a@b.cn", "账号"),
        ("<a href='weixin://x'>小雨</a>", "账号"),
        ("小<雨", "认得出"),
        ("123", "认得出"),
        ("……", "认得出"),
        ("🌸", "认得出"),
        ("小雨\n王芳", "认得出"),
        ("小雨" + "\u0301" * 30, "认得出"),
        ("请问什么时候开课？我有点忙", "认得出"),
        ("这个名字实在是太长太长太长太长太长太长太长了", "有点长"),
        ("{0.__class__}", "认得出"),
    ],
)
def test_what_is_no_name_is_asked_again(chat: Chat, text: str, words: str) -> None:
    chat.until_name()
    assert words in chat.writes(text)
    assert chat.did() == []
    assert chat.memory is not None


def test_controls_that_turn_the_text_around_do_not_get_into_a_name(chat: Chat) -> None:
    chat.until_name()
    chat.writes("小\u202e雨\u2066")
    assert NamePerson("小雨") in chat.did()


def test_a_known_name_can_be_kept_or_changed(bot: Onboarding) -> None:
    for reply, name in (("就用这个", "小雨"), ("是", "小雨"), ("阿木", "阿木")):
        chat = Chat(bot, Person("小雨", "zh", "Asia/Shanghai"))
        chat.until_name()
        assert chat.labels() == ["就用这个"]
        assert name in chat.writes(reply)
        assert NamePerson(name) in chat.did()


@pytest.mark.parametrize("found", [OPEN, STAFF], ids=["participant", "leader"])
def test_a_typed_word_is_asked_for_only_where_the_last_step_was_tapped(bot: Onboarding, found: InvitationFound) -> None:
    for tapped in (True, False):
        chat = Chat(bot, Person("小雨", "zh", "Asia/Shanghai"), {CODE: found})
        chat.gets(Scanned(CODE))
        while "就用这个" not in chat.labels() and "是的" not in chat.labels():
            chat.writes("1")
        done = chat.taps(chat.labels()[0]) if tapped else chat.writes("1")
        assert Join(CODE) in chat.did()
        assert ("回我一个字" in done) == tapped
        assert "「帮助」" in done


def test_a_roster_name_is_never_shown_to_whoever_scans_for_a_participant(chat: Chat) -> None:
    chat.invitations[CODE] = replace(OPEN, invited_name="王芳")
    chat.gets(Scanned(CODE))
    shown = [chat.said.text]
    shown += [chat.taps(label) for label in ("开始", "同意", "愿意", "能")]
    assert "王芳" not in "".join(shown)


def test_who_had_stopped_messages_is_resumed_on_joining_and_told(bot: Onboarding) -> None:
    chat = Chat(bot, Person(None, "zh", "Asia/Shanghai", paused=True))
    chat.until_name()
    assert "恢复" in chat.writes("小雨")
    assert chat.did()[-1] == Resume()


def test_a_leader_confirms_the_role_gives_a_name_and_learns_how_to_announce(chat: Chat) -> None:
    chat.invitations[CODE] = STAFF
    assert "组长" in chat.gets(Followed(CODE))
    assert chat.labels() == ["是的", "不是", "English"]
    assert "称呼" in chat.taps("是的")
    done = chat.writes("李老师")
    assert chat.did() == [NamePerson("李老师"), Join(CODE)]
    assert "「公告」" in done


def test_a_leader_who_has_a_name_joins_with_one_answer(bot: Onboarding) -> None:
    chat = Chat(bot, Person("李老师", "zh", "Asia/Shanghai"), {CODE: STAFF})
    chat.gets(Scanned(CODE))
    assert "李老师" in chat.writes("是")
    assert chat.did() == [Join(CODE)]


def test_the_roster_suggests_a_leaders_name(chat: Chat) -> None:
    chat.invitations[CODE] = replace(STAFF, invited_name="李老师")
    chat.gets(Scanned(CODE))
    assert "李老师" in chat.taps("是的")
    chat.taps("就用这个")
    assert chat.did() == [NamePerson("李老师"), Join(CODE)]


@pytest.mark.parametrize("role", ["mentor", "researcher"])
def test_roles_that_do_not_announce_are_not_told_about_it(chat: Chat, role: str) -> None:
    chat.invitations[CODE] = replace(STAFF, role=role)
    chat.gets(Scanned(CODE))
    chat.taps("是的")
    assert "公告" not in chat.writes("周老师").replace("出现在你发的公告上", "")
    assert chat.did() == [NamePerson("周老师"), Join(CODE)]


def test_who_is_not_the_invited_leader_changes_nothing(chat: Chat) -> None:
    chat.invitations[CODE] = STAFF
    chat.gets(Scanned(CODE))
    assert "不要转给别人" in chat.taps("不是")
    assert chat.did() == []
    assert chat.memory is None


def test_back_from_a_leaders_name_leads_to_the_role(chat: Chat) -> None:
    chat.invitations[CODE] = STAFF
    chat.gets(Scanned(CODE))
    chat.taps("是的")
    chat.writes("返回")
    assert chat.labels()[:2] == ["是的", "不是"]


def test_the_language_changes_at_once_and_the_question_stays(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    text = chat.taps("English")
    assert chat.did() == [SetLanguage("en")]
    assert "eight weeks" in text
    assert chat.labels() == ["Begin", "Later", "中文"]
    chat.person = replace(chat.person, language="en")
    chat.taps("Begin")
    chat.taps("I agree")
    assert "愿意填吗" in chat.writes("中文")
    assert chat.did() == [SetLanguage("zh")]
    assert chat.memory is not None
    assert chat.memory["step"] == "willing"


def test_changing_the_language_while_reading_the_consent_begins_it_again(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    chat.writes("English")
    assert chat.labels()[0] == "Begin"


def test_the_language_can_be_changed_without_a_dialogue(bot: Onboarding, chat: Chat) -> None:
    assert "invitation code" in chat.writes("english")
    assert chat.did() == [SetLanguage("en")]
    member = Chat(bot, Person("小雨", "en", "Asia/Shanghai", MEMBER))
    member.gets(Tapped("onboarding.language.zh", "中文"))
    assert member.did() == [SetLanguage("zh")]
    member.gets(Tapped("onboarding.language.xx", "?"))
    assert member.did() == []


def test_the_whole_way_works_in_english(bot: Onboarding) -> None:
    chat = Chat(bot, Person(None, "en", "Europe/Berlin"))
    chat.gets(Scanned(CODE))
    for label in ("Begin", "I agree", "Yes, willing", "Yes, I can"):
        chat.taps(label)
    done = chat.writes("Call me Rain")
    assert NamePerson("Rain") in chat.did()
    assert "Rain" in done
    assert '"stop"' in done


def test_the_courses_own_consent_is_shown_and_its_version_recorded(chat: Chat) -> None:
    chat.invitations[CODE] = replace(OPEN, consent_text="我们这样保护你的资料。", consent_version="v9")
    chat.gets(Scanned(CODE))
    text = chat.taps("开始")
    assert "我们这样保护你的资料。" in text
    assert "示范文本" not in text
    for label in ("同意", "愿意", "能"):
        chat.taps(label)
    chat.writes("小雨")
    assert chat.did()[0] == Consent(7, "v9", ("questionnaires", "finish"))


def test_a_long_consent_comes_in_pages_and_only_the_last_can_be_agreed_to(chat: Chat) -> None:
    paragraphs = [f"第{number}条：" + "资料会妥善保管。" * 30 for number in range(1, 9)]
    chat.invitations[CODE] = replace(OPEN, consent_text="\n".join(paragraphs))
    chat.gets(Scanned(CODE))
    shown = chat.taps("开始")
    pages = 1
    while chat.labels() == ["往下看", "再想想"]:
        assert "同意" not in chat.labels()
        chat.writes("同意")
        assert chat.labels() == ["往下看", "再想想"], "agreeing before the last page is no agreement"
        shown += chat.taps("往下看")
        pages += 1
    assert pages > 3
    assert chat.labels() == ["同意", "不同意", "再想想"]
    assert all(f"第{number}条" in shown for number in range(1, 9))
    assert shown.replace("\n", "").count("资料会妥善保管。") > 200
    chat.writes("返回")
    assert chat.labels() == ["往下看", "再想想"]


def test_a_late_page_tap_does_not_skip_a_page(chat: Chat) -> None:
    chat.invitations[CODE] = replace(OPEN, consent_text="\n".join("条款内容" * 60 for _ in range(12)))
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    more = chat.said.choices[0]
    chat.taps("往下看")
    place = chat.memory
    assert "之前的一步" in chat.gets(Tapped(more.id, more.label))
    assert chat.memory == place


def test_a_consent_that_changed_meanwhile_is_read_again_before_anything_is_stored(chat: Chat) -> None:
    chat.until_name()
    chat.invitations[CODE] = replace(OPEN, consent_version="3")
    assert "刚刚有更新" in chat.writes("小雨")
    assert chat.did() == []
    for label in ("同意", "愿意", "能"):
        chat.taps(label)
    chat.writes("小雨")
    assert chat.did()[0] == Consent(7, "3", ("questionnaires", "finish"))


def test_a_consent_that_changed_while_it_was_read_is_shown_again(chat: Chat) -> None:
    chat.gets(Scanned(CODE))
    chat.taps("开始")
    chat.invitations[CODE] = replace(OPEN, consent_version="3")
    assert "刚刚有更新" in chat.taps("同意")
    assert "问卷" in chat.taps("同意")


def test_words_in_a_consent_or_a_title_become_neither_link_nor_tap(chat: Chat) -> None:
    evil = '<a href="weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=1">点我</a>'
    chat.invitations[CODE] = replace(OPEN, course_title=evil, group_name=evil, leader_name=evil, consent_text=evil)
    shown = chat.gets(Scanned(CODE)) + chat.taps("开始")
    assert "<" not in shown
    assert "weixin://" not in shown


def test_the_longest_names_still_fit_into_one_message(bot: Onboarding) -> None:
    long = replace(OPEN, course_title="<" * 300, group_name="组" * 300, leader_name="<" * 300, consent_version="版" * 300)
    for language in ("zh", "en"):
        chat = Chat(bot, Person("雨" * 20, language, "Asia/Shanghai", paused=True), {CODE: long})
        chat.gets(Scanned(CODE))
        for _ in range(4):
            chat.writes("1")
        chat.writes("1")
        assert Join(CODE) in chat.did()


def test_where_tells_the_groups_or_the_open_question(bot: Onboarding, chat: Chat) -> None:
    assert "还没有加入" in chat.gets(Pressed("onboarding.where"))
    member = Chat(bot, Person("小雨", "zh", "Asia/Shanghai", MEMBER))
    assert "晨光组" in member.gets(Pressed("onboarding.where"))
    chat.gets(Scanned(CODE))
    assert "我们接着来" in chat.gets(Pressed("onboarding.where"))
    assert chat.memory is not None


@pytest.mark.parametrize(
    "memory", [{}, {"v": 2, "step": "name"}, {"v": 1, "step": "zzz", "code": CODE, "page": 0, "version": "", "staff": False}, {"v": 1}]
)
def test_memory_that_cannot_be_read_is_none(chat: Chat, memory: dict[str, Any]) -> None:
    chat.memory = memory
    assert "还没有加入" in chat.writes("你好")
    assert chat.memory is None


@pytest.mark.parametrize(
    ("language", "leader", "words"),
    [
        ("zh", "李老师", "小雨，欢迎加入「晨光组」，组长是李老师。"),
        ("zh", None, "小雨，欢迎加入「晨光组」。"),
        ("en", None, 'Welcome to "晨光组", 小雨.'),
    ],
)
def test_who_is_given_a_seat_reads_the_words_of_joining(bot: Onboarding, language: str, leader: str | None, words: str) -> None:
    details = {"group_name": "晨光组", "leader_name": leader}
    assert bot.compose(Occasion(OccasionKind.SEAT, language, details, reader="小雨")).text.startswith(words)
    odd = bot.compose(Occasion(OccasionKind.SEAT, language, {"group_name": "<a>" * 60, "leader_name": "weixin://" * 20}, reader="<b>")).text
    assert len(odd.encode()) <= MOST_BYTES
    assert "<" not in odd
    assert "weixin://" not in odd


def test_it_speaks_first_of_nothing_else(bot: Onboarding) -> None:
    with pytest.raises(LookupError):
        bot.compose(Occasion(OccasionKind.ALERT, "zh", {}))
