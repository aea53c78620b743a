"""Every column that holds text, and what may stand in it: words of people, planted in place whatever seals them, or words of ours alone."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from app.db import Tx
from app.keyring import Keyring, Place, Unreadable
from app.models import DataKey as DataKeyRow
from app.models.columns import Table
from app.sealing import DataKey

#: The leaves of a structure under these names are words of people; `()`: all of them. None: the whole text is.
Leaves = tuple[str, ...] | None

#: What people or staff write, or WeChat answers, and a page of the console shows.
SHOWN: dict[str, Leaves] = {
    "accounts.name": None,
    "approvals.note_sealed": None,
    "audit.details": ("reason",),
    "check_ins.line_sealed": None,
    "contacts.note_sealed": None,
    "courses.file": ("title", "titles"),
    "courses.title": None,
    "deliveries.code": None,
    "flags.closing_sealed": None,
    "gatherings.link": None,
    "groups.name": None,
    "invitations.name_sealed": None,
    "integrations.name": None,
    "logins.name_sealed": None,
    "paces.parked_code": None,
    "persons.name_sealed": None,
    "polls.options_sealed": (),
    "proposal_groups.name": None,
    "prompts.words_sealed": None,
    "question_words.words_sealed": None,
    "schedules.details_sealed": ("text", "group_name", "author_name", "course_title"),
    "warm_words.words_sealed": ("texts", "author_name"),
    "waves.code": None,
    "waves.plan": ("title",),
}

#: The same, which no page shows; that none does is tested by planting it as well.
KEPT_AWAY: dict[str, Leaves] = {
    "answers.text_sealed": None,
    "broadcasts.details_sealed": ("text", "group_name", "author_name", "course_title"),
    "courses.code": None,
    "courses.details": ("consent", "resources"),
    "flags.words_sealed": None,
    "groups.code": None,
    "invitations.facts_sealed": ("city",),
    "idempotency_keys.answer_sealed": ("text",),
    "invitations.phone_sealed": None,
    "occasions.details": ("title", "titles", "text", "texts"),
    "oncall.email_sealed": None,
    "oncall.webhook_sealed": None,
    "persons.phone_sealed": None,
    "wordings.permission": None,
    "wordings.source": None,
    "wordings.translation": None,
    "wordings.words": (),
}

#: Words, keys and hashes of the program's own, and what is checked against a list before it is stored.
OURS: dict[str, str] = {
    "words of a list in the code": """
        alarms.kind alarms.subject alerts.error alerts.route alerts.state answers.missing answers.raw answers.road assignment_changes.cause
        assignment_changes.state assignments.state attempts.outcome attempts.route attendances.how audit.action audit.actor audit.subject
        broadcasts.bot broadcasts.kind broadcasts.state chores.name console_sessions.device console_sessions.how
        console_sessions.why_ended courses.consent_version courses.late_joiners deliveries.reason deliveries.route deliveries.state
        firings.outcome flags.rule gatherings.kind inbox.bot inbox.kind invitations.role masses.language masses.state masses.to_tell
        memberships.role memberships.why_ended occasions.code occasions.kind occasions.state occasions.to occasions.why paces.api
        persons.language prompt_firings.outcome prompts.rule prompts.state prompts.why quarantine.reason question_calls.kind
        questions.state scans.state schedules.kind schedules.state schedules.why screenings.source screenings.why sheets.frame
        sheets.instrument signin_tries.kind tags.language warm_firings.outcome warm_firings.theme warm_firings.why warm_given.after
        warm_plans.state warm_words.code warm_words.state warm_words.theme waves.late waves.state wordings.instrument accounts.mode
        approvals.state approvals.why consents.version check_ins.practice attendances.city conversations.recent
        integrations.scopes proposals.state proposal_seats.outcome
    """,
    "zones, hours, days and moments that were checked": """
        courses.quiet_from courses.quiet_until courses.silences courses.zone persons.zone practice_hours.hour prompts.zone
        warm_plans.days warm_plans.hour warm_plans.zone masses.month consents.ticks proposals.together proposals.apart
    """,
    "hashes, ids and keys": """
        approvals.version attempts.call attempts.msgid console_sessions.roles console_sessions.token_index data_keys.wrapped
        deliveries.lease_owner access_tokens.lease_owner heartbeats.owner identities.openid_index inbox.content_hash inbox.dedupe_key
        idempotency_keys.key_index idempotency_keys.request_index integrations.token_index
        invitations.code_index invitations.roster_index logins.name_index logins.password_hash masses.client_id masses.content_hash
        masses.lease_owner masses.msgid participants.number passes.token_index scans.browser_index scans.code_index
        schedules.details_hash sheets.checksum signin_tries.address_index signin_tries.name_index tags.lease_owner tags.name
        wordings.checksum accounts.notice_id accounts.notice_fields receipts.msgid
    """,
    "secrets that only the program opens": """
        access_tokens.token_sealed accounts.aes_key_sealed accounts.previous_aes_key_sealed accounts.secret_sealed
        accounts.token_sealed identities.openid_sealed invitations.code_sealed logins.totp_sealed masses.text_sealed
        conversations.floor_sealed inbox.reply_sealed quarantine.raw_sealed
    """,
    "what the operator or WeChat gives, and no page reads": """
        accounts.api_base accounts.appid accounts.original_id attempts.code identities.unreachable_code masses.code receipts.counts
        receipts.status scans.picture sheets.answers tags.code
    """,
}


#: No two rows may hold the same.
_EACH_ITS_OWN = ("accounts.name", "courses.code", "groups.code", "waves.code")


def text_columns() -> dict[str, sa.Column[Any]]:
    """Every column that can hold text, by `table.column`."""
    found = {}
    for table in Table.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, sa.String | sa.LargeBinary | sa.JSON):
                found[f"{table.name}.{column.name}"] = column
    return found


def named_ours() -> list[str]:
    """The columns of `OURS`."""
    return " ".join(OURS.values()).split()


def plant(tx: Tx, keyring: Keyring, word: Callable[[str, int], str], columns: dict[str, Leaves]) -> None:
    """Put `word(column, row's place)` wherever people's words may stand in these columns; what is empty stays empty."""
    known = text_columns()
    keys = list(_keys(tx, keyring))
    for name, leaves in columns.items():
        column = known[name]
        table, key = column.table, list(column.table.primary_key.columns)
        rows = tx.execute(sa.select(*key, column).where(column.is_not(None)).order_by(*key)).all()
        for place, row in enumerate(rows):
            text = f"{place:03} {word(name, place)}" if name in _EACH_ITS_OWN else word(name, place)
            new = _replanted(row[-1], column, int(row[0]) if len(key) == 1 and isinstance(row[0], int) else 0, keys, leaves, text)
            here = sa.and_(*(each == value for each, value in zip(key, row[:-1], strict=True)))
            tx.execute(sa.update(table).where(here).values({column.name: new}))


def _keys(tx: Tx, keyring: Keyring) -> Iterator[DataKey]:
    for row in tx.execute(sa.select(DataKeyRow.id)):
        yield keyring.open(tx, row.id)


def _replanted(stored: Any, column: "sa.Column[Any]", row: int, keys: Sequence[DataKey], leaves: Leaves, word: str) -> Any:
    if isinstance(column.type, sa.JSON):
        return _in(stored, leaves or (), word)
    if not isinstance(column.type, sa.LargeBinary):
        return word
    place = Place(column.table.name, column.name, row)
    for key in keys:  # whichever it is: nothing here knows whose word this is
        with suppress(Unreadable):
            plain = key.unseal(place, stored)
            return key.seal(place, word if leaves is None else json.dumps(_in(json.loads(plain), leaves, word), ensure_ascii=False))
    raise AssertionError(f"no key opens {column}")


def _in(value: Any, leaves: tuple[str, ...], word: str, inside: bool = False) -> Any:
    inside = inside or not leaves
    if isinstance(value, dict):
        return {key: _in(each, leaves, word, inside or key in leaves) for key, each in value.items()}
    if isinstance(value, list):
        return [_in(each, leaves, word, inside) for each in value]
    return word if inside and isinstance(value, str) else value
