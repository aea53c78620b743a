"""What is said to somebody: words, and what may be answered to them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One answer to tap or type.

    `id` is ASCII, at most 40 bytes, begins with the bot's name and a dot, and names the draft or question that it
    belongs to, so that a late tap is recognised. `label` is what the person sees and what their bubble will say.
    `accepts` are further typed spellings (compared after `bots.choices.normal`). `mark` stands before the label instead of its place:
    the number of an answer, or nothing where it is no answer but a way out.
    """

    id: str
    label: str
    accepts: tuple[str, ...] = ()
    mark: str | None = None


@dataclass(frozen=True)
class Message:
    """Words, and what may be answered to them. Words with gaps were filled by `Texts`, so they are inert."""

    text: str
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Say:
    """Answer this person, in the passive reply. Several in one answer are joined by an empty line."""

    message: Message
