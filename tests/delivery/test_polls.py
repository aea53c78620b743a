"""What an announcement asks: one answer a person, until it closes."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import broadcasts, clock, groups, people, polls, retention, schedules
from app.channels import render
from app.db import Tx
from app.models import Audit, Broadcast, Course, Delivery, Poll, PollAnswer
from app.outbox import claims
from app.states import State
from bots.announcement import asking
from bots.effects import Poll as Wanted
from bots.facts import PollState
from bots.turns import Role
from tests.delivery.polling import CITIES, DAY, MINUTE, answer, asked, follow_up, refused, result
from tests.delivery.scene import NOW, Desk, lease, run, says, touched
from tests.stage import Stage


def test_a_later_answer_takes_the_place_of_the_earlier_one_and_is_counted(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain = desk.person()
        made = asked(desk)
        for minutes, choice in ((0, 2), (1, 2), (2, 1), (3, 8)):
            answer(desk, rain, made, choice, NOW + minutes * MINUTE)
        columns = (PollAnswer.person_id, PollAnswer.choice, PollAnswer.changes, PollAnswer.first_at, PollAnswer.at)
        rows = desk.read(lambda tx: tx.execute(sa.select(*columns)).all())
        assert [tuple(row) for row in rows] == [(rain.id, 8, 2, NOW, NOW + 3 * MINUTE)]
        told = result(desk, made)
        assert told.answered[7] == ("小雨",)
        assert sum(map(len, told.answered)) == 1


def test_only_who_was_asked_may_answer_and_only_while_it_is_open(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain, outside = desk.person(), desk.person("路人", None)
        made = asked(desk)
        late = desk.person("后来的")
        assert refused(lambda: answer(desk, outside, made, 1)) == "foreign"
        assert refused(lambda: answer(desk, late, made, 1)) == "foreign", "who joins later was not asked"
        assert refused(lambda: answer(desk, rain, made, 0)) == "foreign"
        assert refused(lambda: answer(desk, rain, made, 9)) == "foreign"
        assert refused(lambda: answer(desk, rain, made + 1, 1)) == "foreign"
        answer(desk, rain, made, 1, NOW + polls.OPEN_FOR - MINUTE)
        assert refused(lambda: answer(desk, rain, made, 2, NOW + polls.OPEN_FOR)) == "closed"
        desk.write(lambda tx: groups.end_membership(tx, desk.group, rain.id, Role.PARTICIPANT, NOW, "left"))
        assert refused(lambda: answer(desk, rain, made, 2)) == "foreign"
        assert result(desk, made).silent == (), "who has left the group is counted nowhere"
        assert sum(map(len, result(desk, made).answered)) == 0


def test_a_poll_that_cannot_be_asked_is_refused_with_the_reason(database_url: str) -> None:
    with Desk(database_url) as desk:

        def plan(options: tuple[str, ...], text: str = "去哪？", **poll: Any) -> str:
            def work(tx: Tx) -> int:
                wanted = Wanted(options, **poll)
                return schedules.plan_announcement(
                    tx, desk.keyring, author_id=None, group_id=desk.group, text=text, at=None, draft=None, now=NOW, poll=wanted
                )

            return refused(lambda: desk.write(work))

        assert plan(("北京",)) == "options"
        assert plan((*CITIES, "上海")) == "options"
        assert plan(("北京", "北京 ")) == "options"
        assert plan(("北京", " ")) == "options"
        assert plan(("北京", "长" * 13)) == "options"
        assert plan(CITIES, "长" * 400) == "long"
        assert plan(CITIES, until=NOW) == "until"
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Poll)).scalar_one()) == 0


def test_the_announcement_itself_still_goes_to_who_has_answered(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain = desk.person()
        made = asked(desk, sent=False)
        answer(desk, rain, made, 1)
        posts = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        assert [post.person_id for post in posts] == [rain.id]


def test_who_has_a_cancelled_announcement_already_is_told_that_it_is_cancelled(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, has_it, waits = desk.person("李老师", Role.LEADER), desk.person("有了"), desk.person("等着")
        made = asked(desk, author=leader)
        hers = Delivery.person_id == waits.id
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(hers).values(state=State.WAITING)))
        desk.write(lambda tx: schedules.cancel(tx, made, leader.id, NOW))
        assert refused(lambda: answer(desk, has_it, made, 1)) == "cancelled"
        assert desk.read(lambda tx: polls.asked_by(tx, desk.keyring, made, has_it.id, NOW)).state is PollState.CANCELLED


def test_who_leaves_or_is_erased_takes_the_answer_along(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, stays, leaves, goes = (
            desk.person(name, Role.LEADER if name == "李" else Role.PARTICIPANT) for name in ("李", "一", "二", "三")
        )
        made = asked(desk, author=leader)
        for place, each in enumerate((stays, leaves, goes), start=1):
            answer(desk, each, made, place)
        told = desk.read(lambda tx: people.export(tx, desk.keyring, stays.id))["poll_answers"]
        assert [(each["course"], each["announcement"], each["choice"], each["changes"]) for each in told] == [("msc", 1, 1, 0)]
        desk.write(lambda tx: people.withdraw(tx, leaves.id, NOW, erase_answers=False, actor="operator"))
        desk.write(lambda tx: people.erase(tx, desk.keyring, goes.id, NOW, actor="operator"))
        left = desk.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars()))
        assert left == [stays.id]
        assert sum(map(len, result(desk, made).answered)) == 1


def test_options_and_words_rest_sealed_and_nothing_of_them_is_audited(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, rain, _ = desk.person("李老师", Role.LEADER), desk.person(), desk.person("没答")
        made = asked(desk, author=leader)
        answer(desk, rain, made, 1)
        follow_up(desk, made, leader, "快选吧")
        desk.write(lambda tx: polls.close(tx, made, leader.id, NOW))
        stored = desk.read(lambda tx: tx.execute(sa.select(Poll.options_sealed)).scalar_one())
        assert "北京".encode() not in (stored or b"")
        assert stored
        audits = desk.read(lambda tx: tx.execute(sa.select(Audit.action, Audit.details).where(Audit.subject == f"schedule:{made}")).all())
        assert [row.action for row in audits] == ["announce", "announce.follow_up", "poll.close"]
        assert "快选" not in str(audits)
        assert "北京" not in str(audits)


def test_old_answers_are_thrown_away(database_url: str) -> None:
    with Desk(database_url) as desk:
        old, new = desk.person("旧"), desk.person("新")
        made = asked(desk)
        kept = retention.Keep(DAY, DAY, 180 * DAY, DAY)
        answer(desk, old, made, 1)
        answer(desk, new, made, 1)
        desk.write(lambda tx: tx.execute(sa.update(PollAnswer).where(PollAnswer.person_id == new.id).values(at=NOW + DAY)))
        now = NOW + 180 * DAY + MINUTE
        assert desk.read(lambda tx: retention.count(tx, kept, now))["poll_answers"] == 1
        step = retention.CHORES["retention"][1]["poll_answers"]
        assert desk.write(lambda tx: step(tx, kept, now, ())).gone == 1
        assert desk.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars())) == [new.id]


def test_what_is_asked_fits_into_one_message_however_long_the_names_are(database_url: str) -> None:
    long = "长" * 40
    with Desk(database_url) as desk:
        leader, rain = desk.person(long, Role.LEADER), desk.person()
        desk.write(lambda tx: tx.execute(sa.update(Course).values(title=long)))
        desk.write(lambda tx: tx.execute(sa.text("UPDATE groups SET name = :name").bindparams(name=long)))
        link = desk.assembly.links().for_person(rain.id)
        for options in ((), CITIES, ("x" * 36, "y" * 36), tuple(f"城市{place}号" for place in range(8))):
            words = "长" * (asking.most_text(options) // 3)
            own = "长" * (asking.most_text(options, own=True) // 3)

            def plan(tx: Tx, options: tuple[str, ...] = options, words: str = words) -> int:
                return schedules.plan_announcement(
                    tx,
                    desk.keyring,
                    author_id=leader.id,
                    group_id=desk.group,
                    text=words,
                    at=None,
                    draft=None,
                    now=NOW,
                    poll=Wanted(options),
                )

            made = desk.write(plan)
            assert desk.fire() == made
            desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state=State.SENT)))
            follow_up(desk, made, leader)
            follow_up(desk, made, leader, own, NOW + DAY)
            sent = _broadcasts(desk, made)
            assert sorted(kind for kind, _ in sent) == ["announcement", "follow_up", "follow_up"]
            for kind, details in sent:
                for language in ("zh", "en"):
                    message = desk.tools.composer.compose("announcement", kind, language, "Asia/Shanghai", details)
                    assert len(message.choices) == max(1, len(options))
                    size = len(render(message, link).encode())
                    assert size <= desk.tools.rules.most_bytes - asking.room(message), "what is weighed is never less than what goes"
                    assert asking.room(message) >= 0


def _broadcasts(desk: Desk, made: int) -> list[tuple[str, dict[str, Any]]]:
    """Kind and gaps of everything that went out for an announcement."""

    def look(tx: Tx) -> list[tuple[str, dict[str, Any]]]:
        rows = tx.execute(sa.select(Broadcast.id, Broadcast.kind).where(Broadcast.schedule_id == made)).all()
        details = broadcasts.details_of(tx, desk.keyring, [row.id for row in rows])
        return [(row.kind, details[row.id]) for row in rows]

    return desk.read(look)


def test_typed_words_count_while_the_question_is_open_and_shown(database_url: str) -> None:
    with Desk(database_url) as desk:
        rain, unseen = desk.person(), desk.person("没看到")
        made = asked(desk)
        hers = Delivery.person_id == unseen.id
        desk.write(lambda tx: tx.execute(sa.update(Delivery).where(hers).values(state=State.HELD)))
        said, _ = says(desk, 1, "我选青岛吧")
        assert said.startswith("记下了：青岛。")
        said, _ = says(desk, 2, "青岛", key="2")
        assert "记下了" not in said
        assert desk.read(lambda tx: polls.last_asked(tx, desk.keyring, unseen.id, [desk.group], NOW)).state is PollState.NONE
        assert desk.read(lambda tx: polls.last_asked(tx, desk.keyring, rain.id, [], NOW)).state is PollState.NONE
        desk.write(lambda tx: polls.close(tx, made, None, NOW))
        said, _ = says(desk, 1, "北京", key="3")
        assert "北京" not in said
        chosen = desk.read(lambda tx: tx.execute(sa.select(PollAnswer.person_id, PollAnswer.choice)).all())
        assert [tuple(row) for row in chosen] == [(rain.id, 3)]


def test_the_read_page_says_how_to_answer_in_the_chat(database_url: str, tmp_path: Path) -> None:
    run(_read_page(database_url, tmp_path))


async def _read_page(database_url: str, folder: Path) -> None:
    async with Stage(database_url, folder, notices=True) as stage:
        stage.course("正念自我关怀")
        group = stage.group("晨光组")
        rain = await stage.member("小雨", group)

        def plan(tx: Tx) -> int:
            return schedules.plan_announcement(
                tx,
                stage.keyring,
                author_id=None,
                group_id=group,
                text="去哪个城市？",
                at=None,
                draft=None,
                now=clock.now(),
                poll=Wanted(("北京", "<b>郑州")),
            )

        made = stage.write(plan)
        await stage.settle()
        card = (await stage.chat("小雨"))[-1]["card"]
        page = (await stage.web.get(card["url"].removeprefix(stage.settings.public_url))).text
        assert '<li dir="auto">1. 北京</li>' in page
        assert "2. ＜b＞郑州" in page
        assert "请回到和我们的聊天里，打出选项的文字，比如「北京」" in page
        assert "weixin://" not in page
        touched(stage, stage.openids["小雨"], "typed")
        assert "记下了：北京" in (await stage.says("小雨", "北京")).text
        told = stage.read(lambda tx: polls.result(tx, stage.keyring, made, clock.now()))
        assert told is not None
        assert told.answered == (("小雨",), ())
        assert stage.read(lambda tx: list(tx.execute(sa.select(PollAnswer.person_id)).scalars())) == [rain]
