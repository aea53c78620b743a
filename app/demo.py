"""The demo's fiction: an account, a course with two small groups, and sixty people who never lived. Seeding twice changes nothing.

Names and openids are made up; credentials are generated at first run and are in no file of the program.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from app import accounts, courses, flags, groups, overview, people
from app.console import logins, sessions
from app.db import Tx
from app.errors import Conflict, Invalid
from app.keyring import Keyring
from app.models import Account, Course, Group, Membership
from app.settings import Settings
from bots.onboarding.steps import TICKS
from bots.turns import Role

ACCOUNT, COURSE, TITLE = "demo", "msc-demo", "正念自我关怀 · 演示班"
GROUPS = {"chenguang": "晨光组", "qingfeng": "清风组"}
#: Participants of a group, and the room that is left for newcomers.
SEATED, CAPACITY = 26, 30
#: Of each group its leader, then its assistants.
STAFF = {
    "chenguang": ("李老师", "阿岚", "小满"),
    "qingfeng": ("周老师", "青禾", "木子"),
}
MENTOR, ADMINISTRATOR = "沈导师", "林管理员"
_PARTICIPANTS = {
    "chenguang": "小雨 阿宁 晓晴 若水 一诺 明月 小山 知秋 向阳 悠然 念念 小溪 青青 安安 慢慢 初夏 小麦 "
    "南风 小鹿 云朵 归帆 一叶 听雪 阿远 小石 微光",
    "qingfeng": "阿澄 星河 小舟 半夏 茉莉 远山 小竹 听风 暖暖 阿禾 小荷 "
    "白鹭 松间 拾光 小橙 林深 阿木 秋水 小桃 海棠 疏影 晚照 阿蓝 小满天 清欢 予安",
}
#: Who is told apart in the fiction: the rest of the first two thirds wrote lately, the others never did.
UNFOLLOWED, PAUSED = "微光", "予安"
TEMPLATE_FIELDS = {"kind": "thing1", "sender": "thing2", "time": "time3"}
TEMPLATE_LABELS = {"thing1": "事项", "thing2": "来自", "time3": "时间"}
TEMPLATE_TITLE = "新消息提醒"


@dataclass(frozen=True)
class Addresses:
    """Where the demo's two servers listen, and where its state is."""

    folder: Path
    port: int
    sandbox_port: int

    @property
    def service(self) -> str:
        """The service's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        """The sandbox's address."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def settings_file(self) -> Path:
        """What other commands read to work on the demo: `tongban --settings …`."""
        return self.folder / "demo.env"


def settings(at: Addresses, new_key: Callable[[], str]) -> Settings:
    """The demo's settings; at first run its keys are made by `new_key` and written down, for the owner of the folder only."""
    known = _read(at.settings_file)
    wanted = {
        "TONGBAN_MASTER_KEY": known.get("TONGBAN_MASTER_KEY") or new_key(),
        "TONGBAN_INDEX_KEY": known.get("TONGBAN_INDEX_KEY") or new_key(),
        "TONGBAN_DATABASE_URL": f"sqlite:///{at.folder.absolute() / 'demo.db'}",
        "TONGBAN_CLOCK_FILE": str(at.folder.absolute() / "sandbox" / "clock"),
        "TONGBAN_SPOOL": str(at.folder.absolute() / "spool"),
        "TONGBAN_PUBLIC_URL": at.service,
        "TONGBAN_PORT": str(at.port),
        "TONGBAN_LOG_LEVEL": known.get("TONGBAN_LOG_LEVEL", "WARNING"),
    }
    if wanted != known:
        _write(at.settings_file, wanted)
    return Settings(_env_file=None, **{name.removeprefix("TONGBAN_").lower(): value for name, value in wanted.items()})  # type: ignore[call-arg, arg-type]  # texts, as from a file


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _write(path: Path, values: Mapping[str, str]) -> None:
    text = "# The demo's settings and keys. tongban --settings THIS-FILE … works on the demo. Never use them for real people.\n"
    text += "".join(f"{name}={value}\n" for name, value in values.items())
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        fresh.replace(path)
    except OSError as refused:
        raise Invalid("data", f"Cannot write {path} ({refused.strerror}); choose another folder with --data.") from None


# The database ------------------------------------------------------------------------------------------------------------------------


def seed(tx: Tx, keyring: Keyring, at: Addresses, now: datetime) -> int:
    """Make account, course, groups and people where they are missing, follow the sandbox's port; returns the account's id."""
    account_id = _account(tx, keyring, at, now)
    if tx.execute(sa.select(Course.id).where(Course.code == COURSE)).first() is None:
        _seed_course(tx, keyring, account_id, at, now)
    _follow_port(tx, keyring, at)
    return account_id


def _account(tx: Tx, keyring: Keyring, at: Addresses, now: datetime) -> int:
    with contextlib.suppress(Conflict):
        made = accounts.add(
            tx,
            keyring,
            now,
            name=ACCOUNT,
            appid=f"wx{_letters(16)}",
            original_id=f"gh_{_letters(12)}",
            secret=_letters(32),
            api_base=at.sandbox,
        )
        accounts.set_notice(tx, made, accounts.new_aes_key(), TEMPLATE_FIELDS)
    account_id = accounts.by_name(tx, ACCOUNT)
    tx.execute(sa.update(Account).where(Account.id == account_id).values(api_base=at.sandbox))
    return account_id


def _follow_port(tx: Tx, keyring: Keyring, at: Addresses) -> None:
    """Alerts go to the demo's own address, wherever it listens this time."""
    for line in overview.on_call(tx, keyring, courses.by_code(tx, COURSE)):
        if line.routes.get("webhook") != alert_address(at):
            flags.change_webhook(tx, keyring, line.id, alert_address(at))


def alert_address(at: Addresses) -> str:
    """Where the demo takes alerts that leave WeChat."""
    return f"{at.sandbox}/sandbox/alerts"


def _seed_course(tx: Tx, keyring: Keyring, account_id: int, at: Addresses, now: datetime) -> None:
    course_id = courses.create(tx, keyring, now, account_id=account_id, code=COURSE, title=TITLE)
    courses.set_quiet_hours(tx, course_id, "00:00", "00:00")  # whoever tries it at night shall see it work
    courses.set_cap(tx, course_id, None, now)  # nor shall the fifth thing that they try on one day wait for the next
    large = groups.by_code(tx, f"{COURSE}-all")
    seats = _Seats(tx, keyring, account_id, course_id, large, now)
    for code, name in GROUPS.items():
        group_id = groups.create(tx, course_id, code=code, name=name, capacity=CAPACITY)
        groups.group_code(tx, keyring, group_id, now)
        leader, *assistants = STAFF[code]
        seats.seat(leader, group_id, Role.LEADER)
        helpers = [seats.seat(each, group_id, Role.ASSISTANT) for each in assistants]
        for each in _PARTICIPANTS[code].split():
            seats.seat(each, group_id, Role.PARTICIPANT)
        if code == next(iter(GROUPS)):
            flags.add_on_call(tx, keyring, course_id, person_id=helpers[0], email=None, webhook=alert_address(at), now=now)
    first, *others = (groups.by_code(tx, code) for code in GROUPS)
    mentor = seats.seat(MENTOR, first, Role.MENTOR)
    for other in others:
        groups.enter(tx, other, mentor, Role.MENTOR, now)
    administrator = seats.seat(ADMINISTRATOR, large, Role.ADMINISTRATOR)
    flags.add_on_call(tx, keyring, course_id, person_id=administrator, email=None, webhook=alert_address(at), now=now)


@dataclass(frozen=True)
class _Seats:
    tx: Tx
    keyring: Keyring
    account_id: int
    course_id: int
    large: int
    now: datetime

    def seat(self, name: str, group_id: int, role: Role) -> int:
        """One made-up person in a group and in the large group; a participant with consent and number."""
        known = people.meet(self.tx, self.keyring, self.account_id, _openid(), self.now)
        people.rename(self.tx, known, name)
        for each in {group_id, self.large}:
            groups.enter(self.tx, each, known.id, role, self.now)
        if role is Role.PARTICIPANT:
            people.consent(self.tx, known.id, self.course_id, courses.SHIPPED_CONSENT, TICKS, self.now)
            groups.number_participant(self.tx, self.course_id, known.id, self.now)
        return known.id


def _openid() -> str:
    """28 characters, as WeChat's are."""
    return f"oDemo{accounts.new_token()[:23]}"


def _letters(count: int) -> str:
    """At most 32 small letters and digits, drawn as a webhook token is."""
    return accounts.new_token()[:count].lower()


@dataclass(frozen=True)
class Somebody:
    """A seeded person as the sandbox shall know them."""

    name: str
    openid: str
    role: Role
    person_id: int = 0


def everybody(tx: Tx, keyring: Keyring, account_id: int) -> list[Somebody]:
    """Who was seeded and still follows, in the order of seeding; people who joined later are among them."""
    rows = tx.execute(
        sa.select(Membership.person_id, sa.func.min(Membership.role).label("role"))
        .join(Group, Group.id == Membership.group_id)
        .join(Course, Course.id == Group.course_id)
        .where(Course.code == COURSE, Membership.ended_at.is_(None))
        .group_by(Membership.person_id)
        .order_by(Membership.person_id)
    ).all()
    names = people.names(tx, keyring, [row.person_id for row in rows])
    openids = people.openids(tx, keyring, account_id, [row.person_id for row in rows])
    return [
        Somebody(names.get(row.person_id, "?"), openids[row.person_id], Role(row.role), row.person_id)
        for row in rows
        if row.person_id in openids
    ]


def codes(tx: Tx, keyring: Keyring, now: datetime) -> dict[str, str]:
    """The joining code of each small group, by the group's name."""
    return {name: groups.group_code(tx, keyring, groups.by_code(tx, code), now) for code, name in GROUPS.items()}


def talkers(seeded: list[Somebody]) -> Iterator[Somebody]:
    """Who wrote lately: the staff, and two of three participants; the others are reached by a notice only."""
    participants = [each for each in seeded if each.role is Role.PARTICIPANT and each.name not in (UNFOLLOWED, PAUSED)]
    quiet = {each.openid for each in participants[2::3]}
    return (each for each in seeded if each.openid not in quiet and each.name not in (UNFOLLOWED, PAUSED, MENTOR))


#: Whom the demo gives a link into the console, and the researcher whom it makes for that.
RESEARCHER = "小研"


def doors(tx: Tx, keyring: Keyring, now: datetime) -> dict[Role, tuple[str, str]]:
    """Name, and the token of a link that works once, for one of each role that has the console; new ones at each start."""
    at, found = sessions.moment(), {}
    leader, assistant, *_ = STAFF[next(iter(GROUPS))]
    names = {
        Role.LEADER: leader,
        Role.ASSISTANT: assistant,
        Role.MENTOR: MENTOR,
        Role.ADMINISTRATOR: ADMINISTRATOR,
        Role.RESEARCHER: RESEARCHER,
    }
    there = {each.name: each.person_id for each in logins.every(tx, keyring) if any(seat.course_title == TITLE for seat in each.seats)}
    for role, name in names.items():
        if name in there:
            found[role] = (name, logins.let_in(tx, keyring.vault, there[name], at, now))
        elif role is Role.RESEARCHER:  # nobody of the sixty: whoever follows the link becomes one
            code = groups.invite(tx, keyring, groups.by_code(tx, f"{COURSE}-all"), now, role=role, once=True, name=name)
            found[role] = (name, logins.invite(tx, keyring.vault, code, at))
    return found
