"""A fire that won its row runs whole or not at all, whatever is done to the prompt at the same moment (bad-inputs.md K4, K6, K8)."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import groups
from app.db import Database, Tx
from app.groups import Refused
from app.models import Broadcast, Prompt
from app.people import Known
from app.prompts import firing, planning
from bots.effects import CancelPrompt, ChangePrompt, PausePrompt
from bots.recurrence import Rule
from bots.turns import Role
from tests.delivery.prompting import AT, DAY, EVENING, fired, got, plan, seat, second_group, stands, told, wanted
from tests.delivery.scene import Desk, deliveries, together

ROUNDS = 4
Scene = tuple[Known, int, list[Known]]


def scene(desk: Desk) -> Scene:
    """A leader of two groups, the second group, and two members of each."""
    leader, other = desk.person("李老师", Role.LEADER), second_group(desk)
    seat(desk, leader, other, Role.LEADER)
    members = [desk.person(f"同学{number}", Role.PARTICIPANT if number < 2 else None) for number in range(4)]
    for each in members[2:]:
        seat(desk, each, other, Role.PARTICIPANT)
    return leader, other, members


def fires(desk: Desk) -> Callable[[Tx], object]:
    return lambda tx: firing.go_on(tx, desk.tools, AT)


def of_prompt(desk: Desk, prompt: int) -> int:
    """How many broadcasts of it there are."""
    query = sa.select(sa.func.count()).select_from(Broadcast).where(Broadcast.prompt_id == prompt, Broadcast.kind == "prompt")
    return desk.read(lambda tx: tx.execute(query).scalar_one())


def test_k6_two_workers_fire_each_moment_once(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other, members = scene(desk)
        made = [plan(desk, f"第{number}条", author=leader, groups=(desk.group, other)) for number in range(6)]

        def fire_all(start: threading.Barrier) -> None:
            with Database(database_url) as database:
                start.wait()
                while desk.read(lambda tx: firing.any_due(tx, AT)):
                    database.write_now(fires(desk))

        start = threading.Barrier(2)
        threads = [threading.Thread(target=fire_all, args=(start,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [fired(desk, each) for each in made] == [[(AT, "fired")]] * 6
        assert [of_prompt(desk, each) for each in made] == [2] * 6
        assert len(got(desk)) == 6 * len(members)


def test_k6_a_cancel_that_races_with_the_fire_leaves_nothing_to_send(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other, _ = scene(desk)
        for number in range(ROUNDS):
            made = plan(desk, f"第{number}条", author=leader, groups=(desk.group, other))
            cancels: Callable[[Tx], object] = lambda tx, made=made: planning.steer(tx, leader.id, CancelPrompt(made), AT)  # type: ignore[misc]  # noqa: E731
            together(desk, [fires(desk), cancels])
            assert stands(desk, made).state == "cancelled"
            assert of_prompt(desk, made) in (0, 2), "whole or not at all"
            assert {row.word for row in desk.read(lambda tx: deliveries(tx, kind="prompt")).values()} <= {
                ("cancelled", "cancelled_by_author")
            }


def test_k6_a_pause_that_races_with_the_fire_comes_before_or_after_it(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other, _ = scene(desk)
        for number in range(ROUNDS):
            made = plan(desk, f"第{number}条", author=leader, groups=(desk.group, other))
            pauses: Callable[[Tx], object] = lambda tx, made=made: planning.steer(tx, leader.id, PausePrompt(made), AT)  # type: ignore[misc]  # noqa: E731
            together(desk, [fires(desk), pauses])
            assert (stands(desk, made).state, stands(desk, made).next_at) == ("paused", None)
            assert (of_prompt(desk, made), fired(desk, made)) in ((0, []), (2, [(AT, "fired")]))


def test_k6_a_change_that_races_with_the_fire_is_in_all_of_it_or_in_none(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other, _ = scene(desk)
        for number in range(ROUNDS):
            made = plan(desk, f"旧{number}", author=leader, groups=(desk.group, other))
            change = ChangePrompt(made, 1, wanted(desk, f"新{number}", Rule(EVENING, weekdays=(1,)), draft=100 + number))
            changes: Callable[[Tx], object] = lambda tx, change=change: planning.change(tx, desk.keyring, leader.id, change, AT)  # type: ignore[misc]  # noqa: E731
            together(desk, [fires(desk), changes])
            assert stands(desk, made).next_at == AT + DAY, "the new rule, and one moment a day"
            assert of_prompt(desk, made) in (0, 2)
            desk.write(lambda tx, made=made: planning.steer(tx, leader.id, CancelPrompt(made), AT))  # type: ignore[misc]


def test_k6_a_role_withdrawn_while_it_fires_counts_for_all_groups_or_for_none(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, other, _ = scene(desk)
        for number in range(ROUNDS):
            made = plan(desk, f"第{number}条", author=leader, groups=(desk.group, other))

            def withdraws(tx: Tx) -> None:
                for group in (desk.group, other):
                    groups.end_membership(tx, group, leader.id, Role.LEADER, AT, "left")

            together(desk, [fires(desk), withdraws])
            outcome = fired(desk, made)
            assert outcome in ([(AT, "fired")], [(AT, "refused")])
            assert of_prompt(desk, made) == (2 if outcome == [(AT, "fired")] else 0)
            assert stands(desk, made).state == ("running" if outcome == [(AT, "fired")] else "stopped")
            if stands(desk, made).state == "running":
                desk.write(lambda tx, made=made: planning.steer(tx, None, CancelPrompt(made), AT))  # type: ignore[misc]
            for group in (desk.group, other):
                seat(desk, leader, group, Role.LEADER)
        assert all(each["reason"] == "role" for each in told(desk))


def test_two_confirmations_of_one_preview_make_one_prompt_with_one_number(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader = desk.person("李老师", Role.LEADER)
        confirm: Callable[[Tx], int] = lambda tx: planning.plan(tx, desk.keyring, leader.id, wanted(desk, draft=77), AT)  # noqa: E731
        assert len(set(together(desk, [confirm] * 4))) == 1
        others: Callable[[Tx], int] = lambda tx: planning.plan(tx, desk.keyring, None, wanted(desk), AT)  # noqa: E731
        assert len(set(together(desk, [others] * 4))) == 4
        assert sorted(desk.read(lambda tx: tx.execute(sa.select(Prompt.number)).scalars().all())) == [1, 2, 3, 4, 5]


def test_two_changes_of_one_version_are_one_change(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, assistant = desk.person("李老师", Role.LEADER), desk.person("王助教", Role.ASSISTANT)
        made = plan(desk, author=leader)

        def changes(actor: Known, draft: int) -> Callable[[Tx], str]:
            def work(tx: Tx) -> str:
                try:
                    planning.change(tx, desk.keyring, actor.id, ChangePrompt(made, 1, wanted(desk, f"新{draft}", draft=draft)), AT)
                except Refused as refused:
                    return refused.code
                return "done"

            return work

        assert sorted(together(desk, [changes(leader, 1), changes(assistant, 2)])) == ["changed", "done"]


@pytest.mark.parametrize("count", [60])
def test_k8_many_prompts_of_one_minute_all_go_out_within_it(database_url: str, count: int) -> None:
    with Desk(database_url) as desk:
        desk.person()
        leaders = [desk.person(f"李{number}", Role.LEADER) for number in range(4)]
        made = [plan(desk, f"第{number}条", author=leaders[number % 4]) for number in range(count)]
        while desk.read(lambda tx: firing.any_due(tx, AT)):
            desk.write(lambda tx: firing.go_on(tx, desk.tools, AT + timedelta(seconds=30)))
        assert all(fired(desk, each) == [(AT, "fired")] for each in made)
