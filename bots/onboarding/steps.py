"""The order of the questions: pure rules from a place and an answer to the next place, and what joining asks the application for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bots.effects import Consent, Effect, Join, NamePerson, Resume, Screen
from bots.facts import InvitationFound

#: The version that is recorded where neither the course nor its file named one.
TEMPLATE_VERSION = "template-3"
#: How an invitation can have come to somebody who was not meant by name.
SOURCES = ("qr", "code")
#: The two ticks of inclusion, as they are recorded with the consent.
TICKS = ("questionnaires", "finish")

_ORDER = {"participant": ("welcome", "consent", "willing", "able", "name"), "staff": ("staff", "name")}
_STEPS = frozenset(step for order in _ORDER.values() for step in order)
_ENDS = {
    ("welcome", "later"): "later",
    ("consent", "later"): "later",
    ("consent", "no"): "declined",
    ("willing", "no"): "no_questionnaires",
    ("able", "no"): "no_time",
    ("staff", "no"): "not_staff",
}


@dataclass(frozen=True)
class Place:
    """Where in the dialogue somebody is.

    `version` is that of the consent they were shown; `staff` tells the two ways apart; `source` is one of `SOURCES`.
    """

    step: str
    code: str
    page: int = 0
    version: str = ""
    staff: bool = False
    source: str = "qr"

    def afresh(self, step: str) -> "Place":
        """Another step of the same invitation, with nothing of it shown yet."""
        return Place(step, self.code, source=self.source)

    def memory(self) -> dict[str, Any]:
        """What the bot remembers."""
        shown = {"page": self.page, "version": self.version}
        return {"v": 1, "step": self.step, "code": self.code, **shown, "staff": self.staff, "source": self.source}


def remembered(memory: Mapping[str, Any] | None) -> Place | None:
    """The place in this memory; None where there is none or it cannot be read."""
    match memory:
        case {"v": 1, "step": str(step), "code": str(code), "page": int(page), "version": str(version), "staff": bool(staff), **rest}:
            source = str(rest.get("source"))  # missing where somebody was on the way before it was remembered
            place = Place(step, code, page, version, staff, source if source in SOURCES else SOURCES[0])
            return place if step in _STEPS and code else None
    return None


def version(found: InvitationFound) -> str:
    """The version of the consent that this invitation shows now."""
    return found.consent_version or TEMPLATE_VERSION


def reading(place: Place, shown: str) -> Place:
    """The same place, with the version that is shown; another version than before is read from its first page."""
    return replace(place, version=shown, page=place.page if place.version in ("", shown) else 0)


def before(place: Place) -> Place:
    """The step (or page) before this one; the first has none before it."""
    if place.page:
        return replace(place, page=place.page - 1)
    order = _ORDER["staff" if place.staff or place.step == "staff" else "participant"]
    return replace(place, step=order[max(order.index(place.step) - 1, 0)])


def after(place: Place, answer: str) -> Place | str:
    """The next place, or the word for how the dialogue ends."""
    if (end := _ENDS.get((place.step, answer))) is not None:
        return end
    if answer.startswith("more"):
        return replace(place, page=place.page + 1)
    staff = place.step == "staff"
    order = _ORDER["staff" if staff else "participant"]
    return replace(place, step=order[order.index(place.step) + 1], page=0, staff=staff)


def source(found: InvitationFound, place: Place) -> str:
    """How the invitation came, for the flow chart: a roster that names the person counts more than how its code arrived."""
    return "roster" if found.invited_name else place.source


def joining(found: InvitationFound, place: Place, name: str | None, *, paused: bool) -> tuple[Effect, ...]:
    """Everything that becomes true when somebody joins, all or none. Who had stopped our messages gets them again."""
    named: tuple[Effect, ...] = (NamePerson(name),) if name else ()
    resumed: tuple[Effect, ...] = (Resume(),) if paused else ()
    if found.role != "participant":
        return (*named, Join(found.code), *resumed)
    screened = Screen(found.course, included=True, source=source(found, place))
    return (Consent(found.course, place.version, TICKS), *named, screened, Join(found.code), *resumed)
