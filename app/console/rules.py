"""Hides who may do what in the console: a rule names roles and a kind of thing, and says whether this very thing is theirs.

What is not theirs is looked for among what is, so it is missing, as a thing that never existed is.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from app import access
from app.console.actors import Actor
from app.db import Tx
from app.integrations.rules import integrations_in
from app.models import Approval, ConsoleSession, Course, PromptGroup, Question, Schedule, WarmWord, Wave
from bots.turns import ANNOUNCERS, APPROVERS, Role


class Of(StrEnum):
    """The kind of thing that a path names by its id."""

    NOTHING = "nothing"
    COURSE = "course"
    GROUP = "group"
    ANNOUNCEMENT = "announcement"
    APPROVAL = "approval"
    WAVE = "wave"
    PROMPT = "prompt"
    QUESTION = "question"
    WORD = "word"
    SESSION = "session"
    FLAG = "flag"
    STAFF = "staff"
    INTEGRATION = "integration"


@dataclass(frozen=True)
class Rule:
    """`roles`: one of them is needed, in the thing where there is one, else anywhere; None: whoever is signed in. `door`: everybody.

    `on_call`: or they are on call, where the thing is a flag for its course.
    """

    roles: frozenset[Role] | None
    of: Of = Of.NOTHING
    door: bool = False
    on_call: bool = False


#: The pages by which one comes in: they look at nothing that is anybody's.
DOOR = Rule(None, door=True)
#: One's own things.
SIGNED_IN = Rule(None)
OWN_SESSION = Rule(None, Of.SESSION)
#: Who sees a group, and who of them stands beside its people and answers them; who addresses people; who sees how far questionnaires
#: are, and who reminds; who takes numbers and answers away; who runs a course; whose eyes count as the second pair.
SEES_GROUPS = frozenset({Role.LEADER, Role.ASSISTANT, Role.MENTOR, Role.ADMINISTRATOR})
LEADS = frozenset({Role.LEADER, Role.ASSISTANT})
ANNOUNCES = ANNOUNCERS
SEES_WAVES = frozenset({Role.ADMINISTRATOR, Role.RESEARCHER, Role.LEADER, Role.ASSISTANT})
STUDIES = access.EXPORTERS
RUNS = frozenset({Role.ADMINISTRATOR})
APPROVES = APPROVERS


def may(actor: Actor, rule: Rule) -> bool:
    """Whether this person may come here at all, whatever thing they name."""
    return rule.roles is None or bool(actor.roles & rule.roles) or (rule.on_call and actor.on_call)


def theirs(tx: Tx, actor: Actor, rule: Rule, thing: int) -> bool:
    """Whether the thing with this id is among those that the rule gives to this person."""
    if rule.of is Of.NOTHING:
        return True
    mine = _things(actor, rule).subquery()
    return tx.execute(sa.select(mine.c.id).where(mine.c.id == thing).limit(1)).first() is not None


def _things(actor: Actor, rule: Rule) -> "sa.Select[Any]":
    roles = frozenset() if rule.roles is None else rule.roles
    groups, courses = access.groups_of(actor.person_id, roles), access.courses_of(actor.person_id, roles)
    found: dict[Of, sa.Select[Any]] = {
        Of.SESSION: sa.select(ConsoleSession.id).where(ConsoleSession.login_id == actor.login_id, ConsoleSession.ended_at.is_(None)),
        Of.GROUP: groups,
        Of.ANNOUNCEMENT: sa.select(Schedule.id).where(Schedule.group_id.in_(groups)),
        Of.APPROVAL: sa.select(Schedule.id)
        .join(Approval, Approval.schedule_id == Schedule.id)
        .where(Schedule.group_id.in_(access.approved_groups(actor.person_id))),
        Of.PROMPT: sa.select(PromptGroup.prompt_id.label("id")).where(PromptGroup.group_id.in_(groups)),
        Of.QUESTION: sa.select(Question.id).where(Question.group_id.in_(groups)),
        Of.WAVE: sa.select(Wave.id).where(Wave.course_id.in_(courses)),
        Of.WORD: sa.select(WarmWord.id).where(WarmWord.course_id.in_(courses)),
        Of.COURSE: sa.select(Course.id).where(Course.id.in_(courses)),
        Of.FLAG: access.flags_of(actor.person_id, roles, on_call=rule.on_call and actor.on_call),
        Of.STAFF: access.staff_under(actor.person_id, roles),
        Of.INTEGRATION: integrations_in(courses),
    }
    return found[rule.of]
