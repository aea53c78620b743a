"""Hides how wishes are written: a line each, with the numbers of people, or the code of a group, that belong together or apart."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import Invalid
from app.placing.balancing import Wishes

#: As long a text as a form takes; and lines in it.
LONGEST, MOST_LINES = 4_000, 200


class NoWish(Invalid):
    """A line is no wish: `code` is wish_unknown, wish_alone, wish_groups or wish_many, `word` what stands there."""

    def __init__(self, code: str, word: str = "") -> None:
        super().__init__(code, _SENTENCES[code].format(word=word))
        self.word = word


_SENTENCES = {
    "wish_unknown": "{word!r} is nobody's number here and no group's code; look the number up in the list.",
    "wish_alone": "The line {word!r} names one only; write two numbers or more in a line.",
    "wish_groups": "The line {word!r} names two groups; write one group with the people in a line.",
    "wish_many": f"There are more wishes than {MOST_LINES} lines; write fewer.",
}


@dataclass(frozen=True)
class Written:
    """Wishes as they are kept: lines of numbers and groups' codes, in one spelling."""

    together: str
    apart: str


def lines(text: str) -> list[list[str]]:
    """The words of each line that has some. Raises `NoWish` where they are too many."""
    plain = unicodedata.normalize("NFKC", text)
    found = [re.split(r"[\s,;、/+&]+", line.strip(" \t,;、/+&")) for line in plain.splitlines() if line.strip(" \t,;、/+&")]
    if len(text) > LONGEST or len(found) > MOST_LINES:
        raise NoWish("wish_many")
    return found


def understand(
    together: str, apart: str, keys: Mapping[str, str], places: Mapping[str, int], groups: int, *, strict: bool = True
) -> tuple[Wishes, Written]:
    """The wishes in these texts. `keys`: of people by their numbers; `places`: of groups by their codes, among so many `groups`.

    Raises `NoWish`; where it is not `strict`, who is gone meanwhile is passed over.
    """
    united, barred, spelled_together = _read(together, keys, places, groups, inside=True, strict=strict)
    parted, kept_out, spelled_apart = _read(apart, keys, places, groups, inside=False, strict=strict)
    wishes = Wishes(tuple(united), tuple(parted), (*barred, *kept_out))
    return wishes, Written("\n".join(spelled_together), "\n".join(spelled_apart))


def _read(
    text: str, keys: Mapping[str, str], places: Mapping[str, int], groups: int, *, inside: bool, strict: bool
) -> tuple[list[frozenset[str]], list[tuple[str, int]], list[str]]:
    upper, codes = {number.upper(): number for number in keys}, {code.casefold(): code for code in places}
    wishes: list[frozenset[str]] = []
    barred: list[tuple[str, int]] = []
    spelled = []
    for words in lines(text):
        people, named = _sorted_out(words, upper, codes, strict=strict)
        if strict and (len(named) > 1 or len(people) + len(named) < 2 or not people):
            raise NoWish("wish_groups" if len(named) > 1 else "wish_alone", " ".join(words)[:40])
        who = frozenset(keys[number] for number in people)
        wishes += [who] if len(who) > 1 else []
        for code in named[:1]:
            barred += [(key, place) for key in sorted(who) for place in range(groups) if (place != places[code]) is inside]
        spelled.append(" ".join((*people, *named)))
    return wishes, barred, [line for line in spelled if line]


def _sorted_out(words: Sequence[str], people: Mapping[str, str], codes: Mapping[str, str], *, strict: bool) -> tuple[list[str], list[str]]:
    found: tuple[list[str], list[str]] = ([], [])
    for word in words:
        if word.upper() in people:
            found[0].append(people[word.upper()])
        elif word.casefold() in codes:
            found[1].append(codes[word.casefold()])
        elif strict:
            raise NoWish("wish_unknown", word[:20])
    return list(dict.fromkeys(found[0])), list(dict.fromkeys(found[1]))
