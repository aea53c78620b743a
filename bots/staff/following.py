"""Hides what the author of an announcement sees of its answers and does about them: counts with names, asking once more, closing."""

from dataclasses import replace

from bots.announcement import asking
from bots.choices import pick, short
from bots.clipping import clip, named, room
from bots.effects import Answer, Choice, ClosePoll, Effect, FollowUp, Message, Say
from bots.facts import Need, NewCode, PollResult, Progress, ProgressOf, Unreached
from bots.staff import voice as words
from bots.staff.commands import goes_on, leaves
from bots.staff.dialogue import Here
from bots.staff.voice import Voice, text_size
from bots.texts import Words, inert

#: Room that is left for what was answered when a progress lists who was not reached.
POLL_BYTES = 700
_SPARE_BYTES = 240
_MOST_NAMES_BYTES, _MOST_WORDS_BYTES = 300, 700


# Counts and names ---------------------------------------------------------------------------------------------------------------


def with_answers(voice: Voice, message: Message, progress: Progress) -> Message:
    """How far an announcement went, and below it what was answered and by whom, as much as fits; with what can be done about it."""
    poll = progress.poll
    if poll is None:
        return message
    can = (*message.choices, *_possible(voice, progress, poll))
    lines = [message.text, *_counts(voice, poll)]
    space = room(Message("\n".join(lines), can)) - _SPARE_BYTES
    return Message(Words("\n".join([*lines, *words.by_reason(voice, _people(voice, poll), space, "answer")])), can)


def _counts(voice: Voice, poll: PollResult) -> list[Words]:
    answered = sum(map(len, poll.answered))
    end = voice("answer.open" if poll.open else "answer.closed", until=poll.until)
    head = voice("answer.head" if poll.options else "answer.head_got", asked=answered + len(poll.silent), answered=answered, end=end)
    lines = [head]
    if poll.options:
        lines.append(
            voice.joined(
                voice("answer.count", option=inert(option), count=len(who)) for option, who in zip(poll.options, poll.answered, strict=True)
            )
        )
    if poll.followed_at is not None:
        lines.append(voice("answer.followed", at=poll.followed_at, count=poll.followed, reached=poll.followed_reached))
    return lines


def _people(voice: Voice, poll: PollResult) -> tuple[Unreached, ...]:
    """Who is silent first: they are who somebody looks for."""
    silent = [Unreached(name, voice("answer.silent")) for name in poll.silent]
    chose = [
        Unreached(name, inert(option) if poll.options else voice("answer.got"))
        for option, who in zip(poll.options or ("",), poll.answered, strict=True)
        for name in who
    ]
    return (*silent, *chose)


def _possible(voice: Voice, progress: Progress, poll: PollResult) -> tuple[Choice, ...]:
    if not poll.open:
        return ()
    own = short(progress.id)
    close = voice.choice("close", f"close.{own}", number=progress.number)
    return (voice.choice("follow", f"follow.{own}", number=progress.number), close) if poll.askable else (close,)


# Asking once more ---------------------------------------------------------------------------------------------------------------


def start(here: Here, id_: int, text: str = "") -> Answer | Need:
    """Show who would be asked once more, in which words; nothing goes out yet."""
    progress, code = here.turn.facts.get(ProgressOf(id_)), here.turn.facts.get(NewCode("follow"))
    if progress is None or code is None:
        return Need(ProgressOf(id_), NewCode("follow"))
    poll = progress.poll
    why_not = _why_not(progress, text)
    if poll is None or why_not:
        return _done(here, here.voice(why_not, **_gaps(progress, text)))
    shown = here.with_draft(follow=id_, words=text, nudge=code)
    return shown.say(_preview(here.voice, progress, poll, text), _choices(shown))


def _why_not(progress: Progress, text: str) -> str:
    if progress.total < 0:
        return "unknown_number"
    poll = progress.poll
    if poll is None:
        return "follow.asks_nothing"
    if not poll.open:
        return "follow.closed"
    if not poll.askable:
        return "follow.still_to_come" if poll.silent else "follow.nobody"
    if text and words.is_empty(text):
        return "refused.empty"
    return "follow.long" if text_size(text) > asking.most_text(poll.options, own=True) else ""


def _gaps(progress: Progress, text: str) -> dict[str, object]:
    options = progress.poll.options if progress.poll else ()
    silent = len(progress.poll.silent) if progress.poll else 0
    limit, size = asking.most_text(options, own=True), text_size(text)
    return {"number": progress.number, "group": named(progress.group_name), "limit": limit, "size": size, "count": silent}


def _preview(voice: Voice, progress: Progress, poll: PollResult, text: str) -> Words:
    names = voice.names([name for name in poll.silent if name], len(poll.silent), _MOST_NAMES_BYTES)
    lines = [
        voice("follow.to", number=progress.number, group=named(progress.group_name), count=poll.askable),
        voice("follow.silent", names=names),
        voice("follow.words" if text else "follow.same", text=Words(clip(inert(text or progress.excerpt), _MOST_WORDS_BYTES))),
    ]
    if len(poll.silent) > poll.askable:
        lines.append(voice("follow.later", count=len(poll.silent) - poll.askable))
    return Words("\n".join([*lines, *([] if text else [voice("follow.how")])]))


def _choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.draft.nudge)
    send = here.voice.choice("follow_own" if here.draft.words else "follow_same", f"nudge.{own}")
    return (send, here.voice.choice("leave", f"unfollow.{own}"))


def typed(here: Here, text: str) -> Answer | Need:
    """Words while a follow-up is shown: a choice of it, a way out, or its own words."""
    chosen = pick(text, _choices(here))
    if leaves(text) or (chosen is not None and chosen.id.startswith("staff.unfollow.")):
        return _done(here, here.voice("follow.left"))
    if chosen is not None:
        return send(here, here.draft.nudge)
    again = goes_on(text) or here.draft.rests(here.turn.now)
    return start(here, here.draft.follow, here.draft.words if again else text)


def send(here: Here, code: int) -> Answer | Need:
    """The author says yes to what was shown; a tap on an older one sends nothing."""
    if not code or code != here.draft.nudge or not here.draft.follow:
        return _done(here, here.voice("follow.stale"))
    return _done(here, here.voice("follow.done"), FollowUp(here.draft.follow, here.draft.words))


def leave(here: Here) -> Answer:
    """Nobody is asked once more."""
    return _done(here, here.voice("follow.left"))


def refused(here: Here, refusal: str) -> Answer | None:
    """What is said where the application refused a follow-up or a closing; None where it refused something else."""
    key = {"nobody": "follow.nobody", "again": "follow.again", "closed": "follow.closed", "eyes": "follow.eyes"}.get(refusal)
    return None if key is None else _done(here, here.voice(key, number=0, group="", count=0))


# Closing ------------------------------------------------------------------------------------------------------------------------


def close(here: Here, id_: int) -> Answer | Need:
    """Take no more answers, and say what was answered."""
    progress = here.turn.facts.get(ProgressOf(id_))
    if progress is None:
        return Need(ProgressOf(id_))
    poll = progress.poll
    if progress.total < 0 or poll is None:
        return _done(here, here.voice("unknown_number" if progress.total < 0 else "follow.asks_nothing"))
    if not poll.open:
        return _done(here, here.voice("follow.closed"))
    said = here.voice("close.done", number=progress.number, group=named(progress.group_name))
    after = replace(poll, open=False, until=here.turn.now)
    return _done(here, Words("\n".join([said, *_counts(here.voice, after)])), ClosePoll(id_))


def _done(here: Here, said: Words, *effects: Effect) -> Answer:
    """Say it beside whatever else is open, and let the follow-up go."""
    rest = here.with_draft(follow=0, words="", nudge=0)
    answer = rest.say(said, (), *effects)
    if not rest.draft.id:
        return answer
    return Answer((*answer.effects, Say(Message(here.voice("draft_kept")))), answer.memory)
