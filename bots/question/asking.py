"""Hides how somebody asks: which group, the words, who sees them; takes it back, reads the answer, asks on."""

from datetime import timedelta

from bots.choices import normal, number_of, pick, short
from bots.clipping import clip, named
from bots.effects import Answer, AskLeader, AskOn, Choice, EndQuestion, TakeBackQuestion
from bots.facts import Need, NewCode
from bots.question import voice as words
from bots.question.commands import asks_in, leaves
from bots.question.here import Here
from bots.question.place import Place
from bots.question.views import MOST_BYTES, MOST_OPEN, Listeners, MyQuestions, Question, QuestionShown
from bots.texts import Words, inert

#: The same words within this time are taken for a slip of the finger.
_EQUAL_WITHIN = timedelta(minutes=10)
_MOST_CHARACTERS = MOST_BYTES // 3


def start(here: Here, text: str = "") -> Answer | Need:
    """Somebody wants to ask."""
    groups = asks_in(here.turn.person)
    if here.turn.person.paused:
        return here.end("ask.paused")
    if not groups:
        return here.end("ask.nowhere")
    code, mine = here.turn.facts.get(NewCode("question")), here.turn.facts.get(MyQuestions())
    if code is None or mine is None:
        return Need(NewCode("question"), MyQuestions(), *(Listeners(each.group) for each in groups[:1]))
    if sum(each.state in ("open", "claimed") for each in mine) >= MOST_OPEN:
        return _too_many(here)
    fresh = Here(here.turn, here.voice, Place(id=code, text=text, done=here.place.done))
    return choose_group(fresh, groups[0].group) if len(groups) == 1 else _ask_group(fresh)


def _too_many(here: Here) -> Answer:
    return here.end("ask.many", count=MOST_OPEN)


def _ask_group(here: Here) -> Answer:
    return here.at(step="group").say(here.voice("ask.which"), _group_choices(here))


def _group_choices(here: Here) -> tuple[Choice, ...]:
    groups, own = asks_in(here.turn.person)[:7], short(here.place.id)
    courses = {each.course for each in groups}
    shown = [(each, named(each.course_title if len(courses) == len(groups) else each.group_name, 60)) for each in groups]
    return tuple(Choice(f"question.g.{own}.{short(each.group)}", label, (each.group_name, each.course_title)) for each, label in shown)


def choose_group(here: Here, group: int) -> Answer | Need:
    """It is for the leader of this group."""
    if group not in {each.group for each in asks_in(here.turn.person)}:
        return _ask_group(here)
    there = here.at(group=group)
    return _take_text(there, there.place.text) if there.place.text else _ask_text(there)


def _ask_text(here: Here) -> Answer | Need:
    listeners = here.turn.facts.get(Listeners(here.place.group))
    if listeners is None:
        return Need(Listeners(here.place.group))
    if not listeners:
        return here.end("ask.nobody")
    sees = words.who_sees(here.voice, listeners)
    return here.at(step="text", text="").say(here.voice("ask.text", people=sees, limit=_MOST_CHARACTERS))


def _take_text(here: Here, text: str) -> Answer | Need:
    """These are the words of the question: off they go, unless nobody could read them."""
    listeners, mine = here.turn.facts.get(Listeners(here.place.group)), here.turn.facts.get(MyQuestions())
    if listeners is None or mine is None:
        return Need(Listeners(here.place.group), MyQuestions())
    wrong = _wrong(here, text)
    if wrong is not None:
        return here.at(step="text", text="").say(wrong)
    if not listeners:
        return here.end("ask.nobody")
    if any(_is_equal(here, each, text) for each in mine):
        return here.end("ask.equal")
    undo = here.voice.choice("undo", f"undo.{short(here.place.id)}")
    sent = AskLeader(here.place.group, here.place.id, text)
    return here.end("ask.done", (undo,), sent, people=words.who_sees(here.voice, listeners))


def _wrong(here: Here, text: str) -> Words | None:
    """Why these words cannot be passed on; None where they can."""
    if words.is_empty(text):
        return here.voice("wrong.empty")
    over = words.weight(text) - MOST_BYTES
    return here.voice("wrong.long", limit=_MOST_CHARACTERS, over=-(-over // 3)) if over > 0 else None


def _is_equal(here: Here, each: Question, text: str) -> bool:
    line = each.last_asked()
    fresh = line is not None and here.turn.now - line.at < _EQUAL_WITHIN and each.state in ("open", "claimed")
    return fresh and line is not None and normal(line.words or "") == normal(text)


# While it is being written ----------------------------------------------------------------------------------------------------------


def wrote(here: Here, text: str) -> Answer | Need:
    """Typed words, as what is asked for now."""
    place = here.place
    if leaves(text):
        return here.end("ask.left")
    if place.step == "group":
        chosen = pick(text, _group_choices(here))
        return choose_group(here, number_of(chosen.id.rpartition(".")[2])) if chosen else _ask_group(here)
    if place.step in ("sure", "on_sure"):
        chosen = pick(text, _sure_choices(here))
        return _sure(here, send=chosen.id.startswith("question.send")) if chosen else _ask_sure(here, text)
    if place.rests(here.turn.now):
        return _ask_sure(here, text)
    return _take_further(here, text) if place.step == "on" else _take_text(here, text)


def _ask_sure(here: Here, text: str) -> Answer:
    """It is long ago that they wanted to ask: perhaps these words are for somebody else."""
    wrong = _wrong(here, text)
    if wrong is not None:
        return here.say(wrong)
    asked = here.at(step="on_sure" if here.place.step in ("on", "on_sure") else "sure", text=text)
    return asked.say(here.voice("ask.sure", text=Words(clip(inert(text), 600))), _sure_choices(asked))


def _sure_choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.place.id)
    return (here.voice.choice("send", f"send.{own}"), here.voice.choice("drop", f"drop.{own}"))


def _sure(here: Here, *, send: bool) -> Answer | Need:
    if not send:
        return here.end("ask.left")
    return _take_further(here, here.place.text) if here.place.step == "on_sure" else _take_text(here, here.place.text)


def tapped_own(here: Here, kind: str, own: int, value: int) -> Answer | Need:
    """A tap that belongs to the question in the making; one of an older question changes nothing."""
    if own != here.place.id or not own or here.place.step not in ("group", "sure", "on_sure"):
        return here.aside(here.voice("stale"))
    return choose_group(here, value) if kind == "g" else _sure(here, send=kind == "send")


# Afterwards -------------------------------------------------------------------------------------------------------------------------


def show_mine(here: Here) -> Answer | Need:
    """What this person asked, and how it stands."""
    mine = here.turn.facts.get(MyQuestions())
    if mine is None:
        return Need(MyQuestions())
    if not mine:
        return here.aside(here.voice("mine.none"))
    message = words.listed_mine(here.voice, mine)
    return here.aside(Words(message.text), message.choices)


def by_number(here: Here, number: int, name: str, text: str = "") -> Answer | Need:
    """A command of who asked, with a number; without one it means the only question that it can mean."""
    mine = here.turn.facts.get(MyQuestions())
    if mine is None:
        return Need(MyQuestions())
    possible = [each for each in mine if name != "take_back" or each.state in ("open", "claimed")]
    meant = [each for each in mine if each.number == number] if number else possible
    if len(meant) == 1:
        return {"take_back": take_back, "helped": helped, "on": ask_on}[name](here, meant[0].id, text)
    return here.aside(here.voice("mine.unknown")) if number and not meant else show_mine(here)


def take_back(here: Here, id_: int, _text: str = "") -> Answer | Need:
    """They do not want to ask it any more."""
    found = here.turn.facts.get(QuestionShown(id_))
    if found is None:
        return Need(QuestionShown(id_))
    if not found.own:
        return here.aside(here.voice("mine.unknown"))
    if found.state not in ("open", "claimed") or found.last_answer() is not None:
        return here.aside(here.voice("undo.gone" if found.state == "gone" else "undo.answered"))
    return here.aside(here.voice("undo.done"), (), TakeBackQuestion(id_))


def read(here: Here, id_: int) -> Answer | Need:
    """The whole of one question of theirs."""
    found = here.turn.facts.get(QuestionShown(id_))
    if found is None:
        return Need(QuestionShown(id_))
    if not found.own or found.state == "gone":
        return here.aside(here.voice("mine.unknown"))
    own = short(id_)
    choices = (here.voice.choice("helped", f"helped.{own}"), here.voice.choice("on", f"on.{own}")) if found.state == "answered" else ()
    return here.aside(words.told(here.voice, found, words.space(here.voice("kept.ask"), choices)), choices)


def helped(here: Here, id_: int, _text: str = "") -> Answer | Need:
    """They have what they needed."""
    found = here.turn.facts.get(QuestionShown(id_))
    if found is None:
        return Need(QuestionShown(id_))
    if not found.own or found.last_answer() is None or found.state == "gone":
        return here.aside(here.voice("mine.unknown"))
    return here.aside(here.voice("helped.done"), (), *([EndQuestion(id_)] if found.state == "answered" else []))


def ask_on(here: Here, id_: int, text: str = "") -> Answer | Need:
    """They want to know more about the same thing."""
    found, code = here.turn.facts.get(QuestionShown(id_)), here.turn.facts.get(NewCode("question"))
    if found is None or code is None:
        return Need(QuestionShown(id_), NewCode("question"))
    if not found.own or found.state == "gone":
        return here.aside(here.voice("mine.unknown"))
    if here.turn.person.paused:
        return here.end("ask.paused")
    there = Here(here.turn, here.voice, Place("on", id=code, question=id_, done=here.place.done))
    return _take_further(there, text) if text else there.say(here.voice("on.text", limit=_MOST_CHARACTERS))


def _take_further(here: Here, text: str) -> Answer | Need:
    found = here.turn.facts.get(QuestionShown(here.place.question))
    if found is None:
        return Need(QuestionShown(here.place.question))
    wrong = _wrong(here, text)
    if wrong is not None:
        return here.at(step="on", text="").say(wrong)
    if not found.own or found.state == "gone":
        return here.end("mine.unknown")
    return here.end("on.done", (), AskOn(here.place.question, text, here.place.id))
