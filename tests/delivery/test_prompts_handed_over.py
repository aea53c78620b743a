"""Practice prompts of a leader who goes: they go on under the successor's name, in this group, at the same times, each moment once."""

import sqlalchemy as sa

from app import groups, staffing
from app.models import Audit, Prompt
from app.people import Known
from app.prompts import firing, planning
from bots.effects import ChangePrompt
from bots.turns import Role
from tests.delivery.asked import told
from tests.delivery.prompting import AT, DAY, HOUR, fired, groups_of, plan, seat, second_group, stands, tick, wanted
from tests.delivery.scene import NOW, Desk, together
from tests.delivery.test_questions_end import outcome


def crew(desk: Desk) -> tuple[Known, Known, Known]:
    """A participant, the leader who goes, and who takes over."""
    return desk.person(), desk.person("李老师", Role.LEADER), desk.person("小王", Role.ASSISTANT)


def hand_over(desk: Desk, former: Known, successor: Known, *, stays: bool = False) -> staffing.HandedOver:
    return desk.write(lambda tx: staffing.hand_over(tx, desk.keyring, desk.group, former.id, successor.id, NOW + HOUR, stays=stays))


def authors(desk: Desk) -> dict[int, int | None]:
    """Who speaks in which prompt, by its number."""
    query = sa.select(Prompt.number, Prompt.author_id)
    return desk.read(lambda tx: {number: author for number, author in tx.execute(query)})  # noqa: C416 - rows are no pairs to the type checker


def test_they_go_on_in_the_successors_name(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, leader, successor = crew(desk)
        prompt, paused = plan(desk, author=leader), plan(desk, "停一停", author=leader)
        others = plan(desk, "别人的", author=successor)
        desk.write(lambda tx: tx.execute(sa.update(Prompt).where(Prompt.id == paused).values(state="paused", next_at=None)).rowcount)
        assert hand_over(desk, leader, successor).prompts == (1, 2)
        assert authors(desk) == dict.fromkeys((1, 2, 3), successor.id)
        assert [stands(desk, each).state for each in (prompt, paused, others)] == ["running", "paused", "running"]
        tick(desk, AT)
        assert fired(desk, prompt) == [(AT, "fired")]
        assert any("小王" in each and "一起坐一会儿。" in each for each in told(desk, member))
        assert not any("李老师" in each for each in told(desk, member))
        assert "· 练习提醒 2 条（#1 #2）" in told(desk, leader)[-1]
        actions = desk.read(lambda tx: list(tx.execute(sa.select(Audit.action)).scalars()))
        assert actions.count("prompt.hand_over") == 2


def test_one_that_goes_to_another_group_too_stays_there_and_this_group_gets_its_own(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, leader, successor = crew(desk)
        dusk = second_group(desk)
        seat(desk, leader, dusk, Role.LEADER)
        elsewhere = desk.person("小雨", role=None)
        seat(desk, elsewhere, dusk, Role.PARTICIPANT)
        prompt = plan(desk, author=leader, groups=(desk.group, dusk))
        tick(desk, AT)  # what has fired is fired
        assert hand_over(desk, leader, successor).prompts == (2,)
        assert authors(desk) == {1: leader.id, 2: successor.id}
        part = desk.read(lambda tx: tx.execute(sa.select(Prompt.id).where(Prompt.number == 2)).scalar_one())
        assert (groups_of(desk, prompt), groups_of(desk, part)) == ({dusk}, {desk.group})
        assert tick(desk, AT) == 0
        tick(desk, AT + DAY)
        assert (fired(desk, prompt), fired(desk, part)) == ([(AT, "fired"), (AT + DAY, "fired")], [(AT + DAY, "fired")])
        mine = [each for each in told(desk, member) if "一起坐一会儿。" in each]
        assert ["李老师" in each for each in mine] == [True, False]
        assert len(mine) == 2


def test_who_looks_at_it_just_then_looks_again(database_url: str) -> None:
    with Desk(database_url) as desk:
        _, leader, successor = crew(desk)
        prompt = plan(desk, author=leader)
        hand_over(desk, leader, successor, stays=True)
        change = ChangePrompt(prompt, 1, wanted(desk, "别的话"))
        assert desk.write(outcome(lambda tx: planning.change(tx, desk.keyring, successor.id, change, NOW))) == "changed"


def test_a_hand_over_that_races_with_its_moment_fires_it_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        member, leader, successor = crew(desk)
        dusk = second_group(desk)
        seat(desk, leader, dusk, Role.LEADER)
        plan(desk, "一个组", author=leader)
        plan(desk, "两个组", author=leader, groups=(desk.group, dusk))
        jobs = [
            outcome(lambda tx: firing.go_on(tx, desk.tools, AT)),
            outcome(lambda tx: staffing.hand_over(tx, desk.keyring, desk.group, leader.id, successor.id, AT)),
        ]
        assert together(desk, jobs) == ["", ""]
        tick(desk, AT)
        heard = told(desk, member)
        assert [sum(text in each for each in heard) for text in ("一个组", "两个组")] == [1, 1]
        assert authors(desk) == {1: successor.id, 2: leader.id, 3: successor.id}
        assert desk.read(lambda tx: groups.roles_of_staff(tx, desk.group, leader.id)) == ()
