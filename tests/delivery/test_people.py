"""What is known of a person rests sealed, goes when they go, and comes back as the same participant when they return."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app import accounts, broadcasts, flags, groups, inbox, people, schedules
from app.channels import Push, PushKind
from app.db import Tx
from app.keyring import Keyring, Place, Unreadable
from app.models import ConsentGiven, DataKey, Delivery, Flag, Identity, Invitation, Participant, Person, Table
from app.outbox import claims
from app.sealing import Vault
from app.states import STOPPABLE, State
from bots.turns import Role
from tests.delivery import scene
from tests.delivery.answering import Talk, wave
from tests.delivery.scene import NOW, Desk, deliveries, lease, says, together

#: Words that must stand nowhere in readable form.
CANARIES = {
    "name": "金丝雀小雨",
    "leader": "金丝雀老师",
    "said": "金丝雀说的话：不想活了",
    "announced": "金丝雀公告",
    "invited": "金丝雀受邀",
    "phone": "13800138000",
    "email": "canary@example.org",
    "hook": "https://canary.example.org/hook",
    "code": "CANARY2345",
    "raw": "金丝雀原文",
    "secret": "s" * 32,
    "token": "ct0" * 10,
    "aes": "c" * 42 + "A",
}


def _tell_everything(desk: Desk) -> tuple[people.Known, people.Known]:
    """Let every kind of secret go in; returns the participant and the leader."""
    leader, person = desk.person(CANARIES["leader"], Role.LEADER), desk.person(CANARIES["name"], typed=None)

    def more(tx: Tx) -> None:
        accounts.add(
            tx, desk.keyring, NOW, name="second", appid="wx2", original_id="gh_2", secret=CANARIES["secret"], token=CANARIES["token"],
            aes_key=CANARIES["aes"],
        )  # fmt: skip
        groups.invite(
            tx, desk.keyring, desk.group, NOW, once=True, name=CANARIES["invited"], phone=CANARIES["phone"], code=CANARIES["code"]
        )
        flags.add_on_call(tx, desk.keyring, desk.course_id, person_id=leader.id, email=CANARIES["email"], webhook=CANARIES["hook"], now=NOW)
        inbox.quarantine(tx, desk.tools, desk.account_id, "unknown type", CANARIES["raw"].encode(), NOW)
        tx.execute(sa.update(Invitation).values(used_at=NOW, used_by=person.id))

    desk.write(more)
    desk.announced(CANARIES["announced"], author=leader)
    desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
    says(desk, 2, CANARIES["said"], at=NOW + timedelta(minutes=1))
    says(desk, 1, "公告", at=NOW + timedelta(minutes=2))
    says(desk, 1, CANARIES["announced"] + "二", at=NOW + timedelta(minutes=3))
    return leader, person


def _values(tx: Tx) -> Iterator[tuple[str, bytes]]:
    """Every value of every column, as bytes."""
    for table in Table.metadata.sorted_tables:
        for row in tx.execute(sa.select(table)):
            for column, value in zip(table.columns, row, strict=True):
                raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                yield f"{table.name}.{column.name}", raw


def _found(desk: Desk, *more: str) -> set[tuple[str, str]]:
    """Where a canary stands in readable form."""
    needles = {**CANARIES, **{f"openid {word}": word for word in more}}
    return desk.read(lambda tx: {(place, name) for place, raw in _values(tx) for name, word in needles.items() if word.encode() in raw})


def test_nothing_of_a_person_stands_readable_in_the_database(database_url: str) -> None:
    with Desk(database_url) as desk:
        _tell_everything(desk)
        openids = (desk.openid(1), desk.openid(2))
        assert _found(desk, *openids) == set()
        seen = desk.read(lambda tx: {place for place, raw in _values(tx) if raw not in (b"", b"None")})
        for place in ("persons.name_sealed", "identities.openid_sealed", "flags.words_sealed", "broadcasts.details_sealed"):
            assert place in seen
        for place in ("schedules.details_sealed", "inbox.reply_sealed", "conversations.floor_sealed", "quarantine.raw_sealed"):
            assert place in seen
        for place in ("invitations.name_sealed", "invitations.phone_sealed", "oncall.email_sealed", "accounts.secret_sealed"):
            assert place in seen
    if database_url.startswith("sqlite"):
        path = Path(database_url.removeprefix("sqlite:///"))
        raw = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
        assert len(raw) > 100_000
        assert [name for name, word in CANARIES.items() if word.encode() in raw] == []
        assert not any(openid.encode() in raw for openid in openids)


def test_a_sealed_value_opens_in_its_place_only(database_url: str) -> None:
    with Desk(database_url) as desk:
        one, other = desk.person("小雨"), desk.person("王芳")

        def swap(tx: Tx) -> None:
            sealed = tx.execute(sa.select(Person.name_sealed).where(Person.id == other.id)).scalar_one()
            tx.execute(sa.update(Person).where(Person.id == one.id).values(name_sealed=sealed))

        desk.write(swap)
        with pytest.raises(Unreadable):
            desk.read(lambda tx: people.names(tx, desk.keyring, [one.id]))
        place = Place("persons", "name_sealed", one.id)
        assert one.key.unseal(place, one.key.seal(place, "小雨")) == "小雨"
        for moved in (Place("persons", "phone_sealed", one.id), Place("person", "name_sealed", one.id), Place("persons", "name_sealed", 1)):
            with pytest.raises(Unreadable):
                one.key.unseal(moved, one.key.seal(place, "小雨"))
        assert one.key.seal(place, "小雨") != one.key.seal(place, "小雨")
        assert "secret" not in repr(one.key)
        stranger = Keyring(Vault([b"x" * 32], b"k" * 32))
        with pytest.raises(Unreadable):
            desk.read(lambda tx: stranger.open(tx, one.key.id))


def _event(desk: Desk, number: int, kind: PushKind, at: Any) -> Push:
    return Push(kind, desk.openid(number), "", at, f"{int(at.timestamp())}.{number}.{kind}", kind.value.encode(), b"")


def _does(desk: Desk, number: int, kind: PushKind, at: Any) -> None:
    with scene.at(at):
        desk.write(lambda tx: inbox.take(tx, desk.tools, scene.incoming(desk, _event(desk, number, kind, at))))


def test_who_unfollows_is_forgotten_by_wechats_name_and_recognised_on_return(database_url: str) -> None:
    with Desk(database_url) as desk:
        person = desk.person("小雨", typed=None)
        waiting = desk.announced()
        desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        number = desk.read(lambda tx: tx.execute(sa.select(Participant.number)).scalar_one())
        _does(desk, 1, PushKind.LEFT, NOW + timedelta(minutes=1))
        identity = desk.read(lambda tx: tx.execute(sa.select(Identity.openid_sealed, Identity.openid_index, Identity.unfollowed_at)).one())
        assert identity.openid_sealed is None
        assert identity.unfollowed_at is not None
        assert len(identity.openid_index) == 33
        assert desk.read(lambda tx: deliveries(tx, waiting))[person.id].word == ("unreachable", "unfollowed")
        assert desk.read(lambda tx: scene.left(tx, person.id)) == (0, 0)
        assert desk.read(lambda tx: people.openids(tx, desk.keyring, desk.account_id, [person.id])) == {}
        _does(desk, 1, PushKind.FOLLOWED, NOW + timedelta(days=1))
        assert desk.read(lambda tx: people.openids(tx, desk.keyring, desk.account_id, [person.id])) == {person.id: desk.openid(1)}
        assert desk.read(lambda tx: tx.execute(sa.select(Participant.person_id, Participant.number)).all()) == [(person.id, number)]
        assert desk.read(lambda tx: people.names(tx, desk.keyring, [person.id])) == {person.id: "小雨"}
        desk.write(lambda tx: people.withdraw(tx, person.id, NOW, erase_answers=False, actor="operator"))
        again = desk.write(lambda tx: groups.number_participant(tx, desk.course_id, person.id, NOW + timedelta(days=2)))
        assert again == number, "who comes back keeps the number"


def test_withdrawing_takes_back_what_is_queued_in_the_same_transaction(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person("小雨", typed=None), desk.person("王芳", typed=None)
        waits = desk.announced("等着的")
        desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        ready = desk.announced("马上发")

        def breaks(tx: Tx) -> None:
            people.withdraw(tx, person.id, NOW, erase_answers=True, actor="operator")
            raise RuntimeError("power cut")

        with pytest.raises(RuntimeError):
            desk.write(breaks)
        assert desk.read(lambda tx: deliveries(tx, ready))[person.id].state == "ready", "all or nothing"
        desk.write(lambda tx: people.withdraw(tx, person.id, NOW, erase_answers=True, actor="operator"))
        for schedule, before in ((waits, "waiting"), (ready, "ready")):
            rows = desk.read(lambda tx, schedule=schedule: deliveries(tx, schedule))  # type: ignore[misc]
            assert rows[person.id].word == ("cancelled", "withdrew")
            assert rows[other.id].state == before
        ended = desk.read(lambda tx: tx.execute(sa.select(ConsentGiven.ended_at).where(ConsentGiven.person_id == person.id)).scalar_one())
        row = desk.read(
            lambda tx: tx.execute(sa.select(Participant.withdrawn_at, Participant.erase_answers).order_by(Participant.id)).first()
        )
        assert ended == NOW
        assert tuple(row or ()) == (NOW, True)
        later = desk.announced("以后的")
        assert set(desk.read(lambda tx: deliveries(tx, later))) == {other.id}


@pytest.mark.parametrize("state", STOPPABLE)
def test_whatever_has_not_left_is_taken_back(database_url: str, state: State) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person("小雨"), desk.person("王芳")
        schedule = desk.announced()
        desk.write(lambda tx: tx.execute(sa.update(Delivery).values(state=state)))
        assert desk.write(lambda tx: people.stop_deliveries(tx, person.id, "cancelled", "paused", NOW)) == 1
        rows = desk.read(lambda tx: deliveries(tx, schedule))
        assert (rows[person.id].word, rows[other.id].state) == (("cancelled", "paused"), state)


def test_what_was_sent_in_former_years_is_not_read_when_somebody_leaves(database_url: str) -> None:
    said: list[tuple[str, Any]] = []
    words = "EXPLAIN QUERY PLAN" if database_url.startswith("sqlite") else "EXPLAIN"

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        said.append((statement, parameters))

    def plans(tx: Tx) -> list[str]:
        sa.event.listen(tx, "before_cursor_execute", note)
        people.stop_deliveries(tx, 1, "cancelled", "paused", NOW)
        sa.event.remove(tx, "before_cursor_execute", note)
        if tx.dialect.name != "sqlite":  # a table without rows is read as a whole, unless that is dear
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [str(row[-1]) for asked, values in said for row in tx.exec_driver_sql(f"{words} {asked}", values)]

    with Desk(database_url) as desk:
        found = [line for line in desk.write(plans) if "deliveries" in line]
    assert any("ix_deliveries_open" in line for line in found), found
    assert not [line for line in found if "SCAN" in line or "Seq Scan" in line], found


def test_erasing_makes_everything_unreadable_here_and_in_every_backup(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, person = _tell_everything(desk)
        kept = desk.read(lambda tx: tx.execute(sa.select(Person.name_sealed).where(Person.id == person.id)).scalar_one())
        words = desk.read(lambda tx: tx.execute(sa.select(Flag.words_sealed, Flag.id)).one())
        for each in (person, leader):
            desk.write(lambda tx, each=each: people.erase(tx, desk.keyring, each.id, NOW, actor="operator"))  # type: ignore[misc]
        for each in (person, leader):
            with pytest.raises(Unreadable):
                desk.read(lambda tx, each=each: desk.keyring.open(tx, each.key.id))  # type: ignore[misc]
        backup = Place("persons", "name_sealed", person.id)
        assert desk.read(lambda tx: desk.keyring.unseal(tx, person.key.id, backup, kept)) is None, "the old bytes are of no use any more"
        assert (
            desk.read(lambda tx: desk.keyring.unseal(tx, person.key.id, Place("flags", "words_sealed", words.id), words.words_sealed))
            is None
        )
        assert desk.read(lambda tx: people.names(tx, desk.keyring, [person.id, leader.id])) == {}
        readable = desk.read(lambda tx: _all_details(tx, desk))
        for word in ("name", "leader", "said", "invited", "phone"):
            assert CANARIES[word] not in readable, word
        wrapped = desk.read(
            lambda tx: tx.execute(sa.select(DataKey.wrapped, DataKey.destroyed_at).where(DataKey.id == person.key.id)).one()
        )
        assert tuple(wrapped) == (None, NOW)
        assert desk.read(lambda tx: tx.execute(sa.text("SELECT count(*) FROM erasures")).scalar_one()) == 2
        says(desk, 2, "我又来了", at=NOW + timedelta(hours=1))
        known = desk.read(lambda tx: tx.execute(sa.select(Identity.person_id).order_by(Identity.id.desc())).scalars().first())
        assert known not in (person.id, leader.id), "who was erased and returns is somebody new"
        assert desk.read(lambda tx: people.export(tx, desk.keyring, person.id))["name"] is None


def _all_details(tx: Tx, desk: Desk) -> str:
    """Everything that still opens with the keys at hand, under any key."""
    found = []
    for place, columns in {
        "broadcasts": ("details_sealed",),
        "schedules": ("details_sealed",),
        "invitations": ("name_sealed", "phone_sealed"),
        "persons": ("name_sealed", "phone_sealed"),
        "flags": ("words_sealed", "closing_sealed"),
        "contacts": ("note_sealed",),
        "inbox": ("reply_sealed",),
        "conversations": ("floor_sealed",),
        "identities": ("openid_sealed",),
    }.items():
        keys = tx.execute(sa.select(DataKey.id).where(DataKey.wrapped.is_not(None))).scalars().all()
        table = Table.metadata.tables[place]
        for row in tx.execute(sa.select(table)):
            found += [desk.keyring.unseal(tx, key, Place(place, name, row.id), row._mapping[name]) for name in columns for key in keys]
    return "\n".join(text for text in found if text)


def test_an_export_holds_what_is_stored_and_nothing_of_others(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, person = _tell_everything(desk)
        found = desk.read(lambda tx: people.export(tx, desk.keyring, person.id))
        assert (found["name"], found["language"], found["paused_at"]) == (CANARIES["name"], "zh", None)
        assert [(each["role"], each["name"]) for each in found["memberships"]] == [("participant", "晨光组")]
        assert [each["version"] for each in found["consents"]] == ["template-3"]
        assert len(found["deliveries"]) == 1
        assert [each["kind"] for each in found["pushes"]] == ["wrote"]
        assert CANARIES["leader"] not in str(found)
        assert str(leader.id) not in str(found)


def test_an_export_holds_ones_own_questionnaires_every_version_and_ones_own_words(database_url: str) -> None:
    with Desk(database_url) as desk:
        person, other = desk.person(), desk.person("王芳")
        talk, theirs = Talk(desk, 1), Talk(desk, 2)
        wave(desk, ["intake"])
        for each, city in ((talk, "金丝雀市"), (theirs, "别人的城市")):
            for words in ("问卷", "1", "36", "2", "2", "1", "2", city, "2=37"):
                each.says(words)
        found = desk.read(lambda tx: people.export(tx, desk.keyring, person.id))
        assert [(each["course"], each["wave"], each["state"]) for each in found["questionnaires"]] == [("msc", "baseline", "partial")]
        ages = [(each["version"], each["value"], each["raw"], each["road"]) for each in found["answers"] if each["item"] == 2]
        assert ages == [(1, 36, "36", "typed"), (2, 37, "37", "typed")]
        assert [each["words"] for each in found["answers"] if each["words"]] == ["金丝雀市"]
        assert len(found["answers"]) == 8
        assert "别人的城市" not in str(found)
        desk.write(lambda tx: people.erase(tx, desk.keyring, person.id, NOW, actor="operator"))
        after = desk.read(lambda tx: people.export(tx, desk.keyring, person.id))
        assert (after["answers"], [each["state"] for each in after["questionnaires"]]) == ([], ["withdrawn"])
        assert len(desk.read(lambda tx: people.export(tx, desk.keyring, other.id))["answers"]) == 8


def test_two_first_pushes_at_once_make_one_person(database_url: str) -> None:
    with Desk(database_url) as desk:
        openid = desk.openid(9)
        met = together(desk, [lambda tx: people.meet(tx, desk.keyring, desk.account_id, openid, NOW).id] * 3)
        assert len(set(met)) == 1
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Identity)).scalar_one()) == 1
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Person)).scalar_one()) == 1


def test_a_broadcast_whose_author_was_erased_still_goes_out_without_the_name(database_url: str) -> None:
    with Desk(database_url) as desk:
        leader, person = desk.person(CANARIES["leader"], Role.LEADER), desk.person("小雨")
        schedule = desk.announced(author=leader)
        desk.write(lambda tx: people.erase(tx, desk.keyring, leader.id, NOW, actor="operator"))
        (post,) = desk.write(lambda tx: claims.claim(tx, desk.account_id, lease(), desk.tools.rules, NOW).posts)
        details = desk.read(lambda tx: broadcasts.details_of(tx, desk.keyring, [post.broadcast_id]))[post.broadcast_id]
        assert CANARIES["leader"] not in str(details)
        assert "今晚见" in desk.tools.composer.compose(post.bot, post.kind, "zh", "Asia/Shanghai", details).text
        assert desk.read(lambda tx: deliveries(tx, schedule))[person.id].state == "claimed"
        shown = desk.read(lambda tx: schedules.announcements(tx, desk.keyring, schedules.Reader("zh"), 5))
        assert [each.excerpt for each in shown] == ["今晚见"]
        assert desk.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(Delivery)).scalar_one()) == 1


def test_of_many_keys_those_that_cannot_be_opened_are_missing_and_the_others_are_there(database_url: str) -> None:
    with Desk(database_url) as desk:
        keyring = desk.tools.keyring
        there, destroyed, elsewhere = (desk.write(keyring.create).id for _ in range(3))
        desk.write(lambda tx: keyring.destroy(tx, destroyed, NOW))
        desk.write(lambda tx: tx.execute(sa.update(DataKey).where(DataKey.id == elsewhere).values(master_version=99)))
        assert desk.read(lambda tx: keyring.open_all(tx, [there, destroyed, elsewhere, there])).keys() == {there}
        assert desk.read(lambda tx: keyring.open_all(tx, [])) == {}
