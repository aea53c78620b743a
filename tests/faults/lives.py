"""What people of the fleet do, and what must stand in the database afterwards: exactly one effect for each message that was taken.

Every kind of deed leaves something to count: stopping, resuming and crying for help an audit row each, a code that leads nowhere a guess,
the last answer of the way into a group one consent, one seat and one number. A step of that way that is taken twice, lost or out of its
order leads past the seat.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.models import Audit, Flag, Group, Guess, Identity, InboxItem, Membership, Participant, Quarantined
from app.sealing import Vault
from tests.faults.fleet import Deed, Life, Posted

#: From the scan to the name: welcome, consent, two ticks.
_WAY_IN = ("scan", "agree", "agree", "agree", "agree", "name")
#: Letters of codes that lead nowhere.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_MOST_GUESSES = 4
_CRIES = ("我不想活了", "我想自杀", "不想活下去了")
_CHAT = ("今天练习了十分钟", "有点累", "谢谢大家", "早上好", "昨晚睡得不错", "下雨了")


def lives(random: Random, code: str, *, pushes: int, first: int = 0) -> list[Life]:
    """People who together do so much; two of three join with this code."""
    made: list[Life] = []
    done = 0
    while done < pushes:
        life = _life(random, code, first + len(made))
        life = Life(life.openid, life.deeds[: pushes - done])
        made.append(life)
        done += len(life.deeds)
    return made


def cry(number: int) -> Deed:
    """Somebody nobody knew before is in danger."""
    return Deed(f"oDanger{number:021d}", "crisis", {"MsgType": "text", "Content": _CRIES[number % len(_CRIES)]})


def _life(random: Random, code: str, number: int) -> Life:
    openid = f"oFleet{number:022d}"
    kinds = [*(_WAY_IN if random.random() < 2 / 3 else ()), *_later(random)]
    return Life(openid, tuple(_deed(random, openid, kind, code, number, place) for place, kind in enumerate(kinds)))


def _later(random: Random) -> Iterator[str]:
    guesses = 0
    for _ in range(random.randint(5, 9)):
        kind = random.choices(("stop", "resume", "crisis", "guess", "chat"), (3, 3, 1, 2, 2))[0]
        guesses += kind == "guess"
        yield "chat" if guesses > _MOST_GUESSES else kind
    if random.random() < 0.2:
        yield "leave"


def _deed(random: Random, openid: str, kind: str, code: str, number: int, place: int) -> Deed:
    words = {
        "agree": "ok",
        "name": f"同学{number}",
        "stop": random.choice(("停", "退订", "别发了")),
        "resume": "恢复",
        "crisis": random.choice(_CRIES),
        "guess": f"邀请码 {''.join(random.choices(_LETTERS, k=9))}7",
        "chat": f"{random.choice(_CHAT)} {place}",
    }
    if kind == "scan":
        return Deed(openid, kind, {"MsgType": "event", "Event": "subscribe", "EventKey": f"qrscene_{code}"})
    if kind == "leave":
        return Deed(openid, kind, {"MsgType": "event", "Event": "unsubscribe", "EventKey": ""})
    return Deed(openid, kind, {"MsgType": "text", "Content": words[kind]})


def broken(tx: Tx, vault: Vault, account_id: int, posted: Sequence[Posted]) -> list[str]:
    """What is not as it must be after these pushes, nothing left in a spool; empty where all is well."""
    inbox = sa.select(InboxItem.dedupe_key, InboxItem.id).where(InboxItem.account_id == account_id)
    order: dict[str, int] = {row.dedupe_key: row.id for row in tx.execute(inbox)}
    wrong = [f"acknowledged and lost: {each.deed}" for each in posted if each.acknowledged and each.key not in order]
    if strange := len(set(order) - {each.key for each in posted}):
        wrong.append(f"{strange} rows in the inbox that nobody posted")
    if spoilt := tx.execute(sa.select(Quarantined.reason).where(Quarantined.account_id == account_id)).scalars().all():
        wrong.append(f"in quarantine: {Counter(spoilt)}")
    wrong += [f"unequal replies: {each.deed}, {len(each.replies)} of them" for each in posted if len(each.replies - {b""}) > 1]
    people = _people(tx, vault, account_id, posted)
    counted = _counted(tx)
    for openid, theirs in _by_person(posted).items():
        taken = sorted((each for each in theirs if each.key in order), key=lambda each: order[each.key])
        if taken != theirs and all(each.acknowledged for each in theirs):  # who was not answered may have come to us late
            wrong.append(f"out of order: {[each.deed.kind for each in taken]} of {openid}")
        expected = _expected([each.deed.kind for each in taken], [each.deed.kind for each in theirs])
        found = counted.get(people.get(openid, 0), Counter())
        if found not in expected:
            wrong.append(f"{openid} did {[each.deed.kind for each in taken]}: {dict(found)} and not {' or '.join(map(str, expected))}")
    return wrong


def _expected(taken: Sequence[str], meant: Sequence[str]) -> "tuple[Counter[str], ...]":
    """The effects of what was taken, each once. Where the platform gave up a step of the way in, what came next may have stood for it."""
    effects: Counter[str] = Counter()
    paused = False
    for kind in taken:
        if kind == "stop":
            paused = True
        elif kind == "resume" and not paused:
            continue
        elif kind == "resume":
            paused = False
        if kind in ("stop", "resume", "crisis", "guess"):
            effects[kind] += 1
    joined = effects + Counter(("consent", "join", "seat", "number"))
    way_in = tuple(meant[: len(_WAY_IN)]) == _WAY_IN
    if way_in and tuple(taken[: len(_WAY_IN)]) == _WAY_IN:
        return (joined,)
    return (effects, joined) if way_in else (effects,)


def _counted(tx: Tx) -> dict[int, "Counter[str]"]:
    """What stands in the database, by person."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    flags: dict[int, int] = {row.id: row.person_id for row in tx.execute(sa.select(Flag.id, Flag.person_id))}
    words = {"pause": "stop", "resume": "resume", "consent": "consent", "join": "join"}
    for row in tx.execute(sa.select(Audit.actor, Audit.action, Audit.subject).order_by(Audit.id)):
        if row.action in words:
            found[int(row.actor.partition(":")[2])][words[row.action]] += 1
        elif row.action in ("flag.raise", "flag.again"):
            found[flags[int(row.subject.partition(":")[2])]]["crisis"] += 1
    seats = sa.select(Membership.person_id).join(Group, Group.id == Membership.group_id).where(~Group.large)
    rows: dict[str, sa.Select[Any]] = {"guess": sa.select(Guess.person_id), "seat": seats, "number": sa.select(Participant.person_id)}
    for name, query in rows.items():
        for person in tx.execute(query).scalars():
            found[person][name] += 1
    return found


def _people(tx: Tx, vault: Vault, account_id: int, posted: Iterable[Posted]) -> dict[str, int]:
    known = {row.openid_index: row.person_id for row in tx.execute(sa.select(Identity.openid_index, Identity.person_id))}
    openids = {each.deed.openid for each in posted}
    return {openid: known.get(vault.index(f"openid.{account_id}", openid), 0) for openid in openids}


def _by_person(posted: Iterable[Posted]) -> dict[str, list[Posted]]:
    found: dict[str, list[Posted]] = defaultdict(list)
    for each in posted:
        found[each.deed.openid].append(each)
    return found
