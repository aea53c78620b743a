"""Hides how a leader or assistant answers: what is open, who claims it, the words, the preview, the confirmation."""

from bots.choices import pick, short
from bots.clipping import clip, named
from bots.effects import Answer, AnswerQuestion, Choice, ClaimQuestion, Effect, ReleaseQuestion
from bots.facts import Need, NewCode
from bots.question import voice as words
from bots.question.commands import leaves
from bots.question.here import Here
from bots.question.place import Place
from bots.question.views import MOST_BYTES, OpenQuestions, Question, QuestionShown
from bots.texts import Words, inert

_MOST_CHARACTERS = MOST_BYTES // 3
_MOST_PREVIEW_BYTES = 900


def show_open(here: Here) -> Answer | Need:
    """What waits for an answer in the groups of this person."""
    found = here.turn.facts.get(OpenQuestions())
    if found is None:
        return Need(OpenQuestions())
    if not found:
        return here.aside(here.voice("open.none"))
    message = words.listed_open(here.voice, found)
    return here.aside(Words(message.text), message.choices)


def by_number(here: Here, number: int, name: str, text: str = "") -> Answer | Need:
    """A command with a number; where two courses use it, both are shown."""
    found = here.turn.facts.get(OpenQuestions(number))
    if found is None:
        return Need(OpenQuestions(number), NewCode("answer"))
    if len(found) == 1:
        return claim(here, found[0].id, text) if name == "answer" else release(here, found[0].id)
    if not found:
        return here.aside(here.voice("answer.none"))
    message = words.listed_open(here.voice, found)
    return here.aside(Words(message.text), message.choices)


def claim(here: Here, id_: int, text: str = "") -> Answer | Need:
    """Whoever wants to answer: the first gets the floor, everybody later learns who was first."""
    found, code = here.turn.facts.get(QuestionShown(id_)), here.turn.facts.get(NewCode("answer"))
    if found is None or code is None:
        return Need(QuestionShown(id_), NewCode("answer"))
    refusal = _not_for(here, found)
    if refusal is not None:
        return here.aside(refusal)
    there = Here(here.turn, here.voice, Place("answer", code, question=id_, number=found.number, done=here.place.done), here.before)
    claimed: tuple[Effect, ...] = () if found.mine else (ClaimQuestion(id_),)
    return _take_text(there, found, text, claimed) if text else _ask_text(there, found, claimed)


def _not_for(here: Here, found: Question) -> Words | None:
    """Why the reader cannot answer this now; None where they can."""
    if found.own:
        return here.voice("answer.own")
    if found.state == "open" or (found.mine and found.state in ("claimed", "answered")):
        return None
    if found.state in ("claimed", "answered"):
        return here.voice(_BY_OTHERS[found.state], answerer=here.voice.answerer(found.answerer))
    return here.voice(_OVER.get(found.state, "answer.closed"))


_BY_OTHERS = {"claimed": "answer.taken", "answered": "answer.done_by"}
_OVER = {"foreign": "answer.none", "gone": "answer.gone"}


def _ask_text(here: Here, found: Question, claimed: tuple[Effect, ...] = ()) -> Answer:
    head = here.voice("answer.ask", number=found.number, asker=here.voice.name(found.asker), limit=_MOST_CHARACTERS)
    back = (here.voice.choice("back", f"back.{short(found.id)}"),)
    said = words.told(here.voice, found, words.space(head, back))
    return here.say(Words(f"{said}\n\n{head}"), back, *claimed)


def wrote(here: Here, text: str) -> Answer | Need:
    """Typed words of who answers: the answer, a yes to the preview, or an end of writing."""
    found, code = here.turn.facts.get(QuestionShown(here.place.question)), here.turn.facts.get(NewCode("answer"))
    if found is None or code is None:
        return Need(QuestionShown(here.place.question), NewCode("answer"))
    chosen = pick(text, _preview_choices(here)) if here.place.step == "preview" else None
    if chosen is not None:
        return tapped_own(here, chosen.id.split(".")[1], here.place.id)
    if leaves(text):
        return _let_go(here)
    if _gives_back(here, text):
        return release(here, here.place.question)
    replaced = here.voice("answer.replaced") if here.place.step == "preview" else None
    return _take_text(here.at(replaced, id=code), found, text)


def _gives_back(here: Here, text: str) -> bool:
    """Whether the words give the question back."""
    return pick(text, (here.voice.choice("back", "back"),)) is not None and not text.strip().isdigit()


def _take_text(here: Here, found: Question, text: str, claimed: tuple[Effect, ...] = ()) -> Answer | Need:
    """These are the words of the answer: shown once more before they go to somebody."""
    refusal = _not_for(here, found)
    if refusal is not None:
        return here.done(refusal)
    if not found.mine and not claimed:
        return here.end("answer.given_back")
    if words.is_empty(text):
        return here.at(step="answer", text="").say(here.voice("wrong.empty"), (), *claimed)
    over = words.weight(text) - MOST_BYTES
    if over > 0:
        wrong = here.voice("wrong.long", limit=_MOST_CHARACTERS, over=-(-over // 3))
        return here.at(step="answer", text="").say(wrong, (), *claimed)
    shown = here.at(step="preview", text=text)
    preview = here.voice(
        "answer.preview", asker=here.voice.name(found.asker), number=found.number, text=Words(clip(inert(text), _MOST_PREVIEW_BYTES))
    )
    if words.weight(text) > _MOST_PREVIEW_BYTES:
        preview = Words(f"{preview}\n{here.voice('answer.clipped')}")
    return shown.say(preview, _preview_choices(shown), *claimed)


def _preview_choices(here: Here) -> tuple[Choice, ...]:
    own = short(here.place.id)
    return (here.voice.choice("ok", f"ok.{own}"), here.voice.choice("edit", f"edit.{own}"), here.voice.choice("leave", f"leave.{own}"))


def tapped_own(here: Here, kind: str, own: int) -> Answer | Need:
    """A tap on a preview. One that belongs to another preview changes nothing."""
    if own and own == here.place.done:
        return here.aside(here.voice("answer.twice"))
    if own != here.place.id or here.place.step != "preview":
        return here.aside(here.voice("stale"))
    if kind == "leave":
        return _let_go(here)
    found = here.turn.facts.get(QuestionShown(here.place.question))
    if found is None:
        return Need(QuestionShown(here.place.question))
    if kind == "edit":
        return _ask_text(here.at(step="answer", text=""), found)
    return _send(here, found)


def _send(here: Here, found: Question) -> Answer:
    refusal = _not_for(here, found)
    if refusal is not None or not found.mine:
        return here.done(refusal or here.voice("answer.given_back"))
    key = f"sent.{found.deaf}" if found.deaf else "sent.done"
    sent = AnswerQuestion(found.id, here.place.text, here.place.id)
    return here.at(done=here.place.id).end(key, (), sent, asker=here.voice.name(found.asker))


def _let_go(here: Here) -> Answer:
    """The words are dropped; the question stays theirs until they give it back."""
    back = here.voice.choice("back", f"back.{short(here.place.question)}")
    return here.end("answer.left", (back,), number=here.place.number)


def release(here: Here, id_: int) -> Answer | Need:
    """Somebody else shall answer."""
    found = here.turn.facts.get(QuestionShown(id_))
    if found is None:
        return Need(QuestionShown(id_))
    mine = here.place.question == id_ and here.place.step in ("answer", "preview")
    there = Here(here.turn, here.voice, Place(done=here.place.done)) if mine else here
    if found.state != "claimed" or not found.mine:
        return there.aside(here.voice("back.not_yours"))
    return there.aside(here.voice("back.done", number=found.number, group=named(found.group_name)), (), ReleaseQuestion(id_))
