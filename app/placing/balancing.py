"""A balanced proposal, pure and by a seed: who sits with whom, so that every group looks like the whole (docs/decisions/032).

People with wishes are seated first, everybody else is dealt one kind after the other to the group that lacks them most; then two people
change places as long as that helps. What helps is written down in `imbalance`.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

#: So often at most all is dealt anew, each time from another order, and the best counts; few people are dealt often, many less often.
_DEALS, _DEALT = 40, 1_000
#: Pairs of kinds that are looked at, in all deals together: a second or so. Those of 253 people in ten groups are half of them.
_MOST_LOOKS = 3_000_000
#: Of two imbalances the second is smaller by at least this, or they are the same.
_LESS = 1e-9
#: Steps in the search for seats that keep all wishes; those of people take a few dozen.
_MOST_STEPS = 20_000


@dataclass(frozen=True)
class Someone:
    """A person by a key of their own. `facts`: one for each factor, "" where it is not known. `sits`: the group that they keep."""

    key: str
    facts: tuple[str, ...]
    sits: int | None = None


@dataclass(frozen=True)
class Wishes:
    """Keys of people who shall sit in one group, and of those of whom no two shall. `barred`: a person, and a group not for them."""

    together: tuple[frozenset[str], ...] = ()
    apart: tuple[frozenset[str], ...] = ()
    barred: tuple[tuple[str, int], ...] = ()


class Impossible(Exception):
    """There is no such proposal; `who`: the keys of whom that is about.

    `why`: room, both (together and apart), sits (together, but in two groups), large (more together than a group takes), apart.
    """

    def __init__(self, why: str, who: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.why, self.who = why, tuple(sorted(who))


def propose(people: Sequence[Someone], room: Sequence[int | None], wishes: Wishes, seed: int) -> dict[str, int]:
    """The group of each person by their key. `room`: how many each group takes, None for any number.

    The same people, room, wishes and seed give the same proposal. Whoever sits already stays; sizes differ by one at most, where those who
    sit, the room and the wishes allow it. Raises `Impossible`.
    """
    units = _units(people, room, wishes)
    best: tuple[float, dict[str, int]] | None = None
    looks = [0]
    for deal in range(max(4, min(_DEALS, _DEALT // max(len(people), 1)))):
        table = _Table(people, room)
        chance = random.Random(f"{seed}:{deal}")  # noqa: S311 - to be repeated, not to be secret
        table.seat_wishes(units, wishes)
        table.deal(chance)
        table.swap(looks)
        weight = table.imbalance()
        if best is None or weight < best[0] - _LESS:
            best = weight, table.places()
        if looks[0] >= _MOST_LOOKS:
            break
    return {} if best is None else best[1]


def imbalance(people: Iterable[Someone], places: Mapping[str, int], groups: int) -> float:
    """How far the groups are from the whole: 0 where every group has its exact share of everything.

    For each factor, each answer to it ("not known" is one) and each group: how many people there are more or fewer than the group's share,
    squared; all of that added up. Squared, so that two people too many in one group weigh more than one too many in each of two.
    """
    seated = [each for each in people if each.key in places]
    sizes = Counter(places[each.key] for each in seated)
    whole: Counter[tuple[int, str]] = Counter()
    there: Counter[tuple[int, int, str]] = Counter()
    for each in seated:
        for factor, fact in enumerate(each.facts):
            whole[factor, fact] += 1
            there[places[each.key], factor, fact] += 1
    return sum(
        (there[group, factor, fact] - many * sizes[group] / len(seated)) ** 2
        for (factor, fact), many in whole.items()
        for group in range(groups)
    )


def kept(wishes: Wishes, places: Mapping[str, int]) -> tuple[tuple[str, frozenset[str]], ...]:
    """The wishes that seats do not keep: together, apart or barred, and the people. Whoever has no seat breaks none."""
    broken = [("together", wish) for wish in wishes.together if len({places[key] for key in wish if key in places}) > 1]
    for wish in wishes.apart:
        groups = [places[key] for key in wish if key in places]
        if len(set(groups)) < len(groups):
            broken.append(("apart", wish))
    broken += [("barred", frozenset({key})) for key, group in wishes.barred if places.get(key) == group]
    return tuple(broken)


def sizes(seated: Sequence[int], room: Sequence[int | None], many: int) -> list[int]:
    """How large each group becomes when so many come to those who sit there: each one to the smallest. Raises `Impossible` ("room")."""
    found = list(seated)
    for _ in range(many):
        open_ = [group for group, size in enumerate(found) if (most := room[group]) is None or size < most]
        if not open_:
            raise Impossible("room")
        found[min(open_, key=lambda group: (found[group], group))] += 1
    return found


# Wishes -------------------------------------------------------------------------------------------------------------------------------


def _units(people: Sequence[Someone], room: Sequence[int | None], wishes: Wishes) -> list[list[Someone]]:
    """Who has a seat to be found together: those of the wishes, the largest first. Raises `Impossible`."""
    by_key = {each.key: each for each in people}
    apart = {frozenset(pair) for wish in wishes.apart for pair in combinations(sorted(wish & by_key.keys()), 2)}
    alone = {key for pair in apart for key in pair} | ({key for key, _ in wishes.barred} & by_key.keys())
    found = _joined([wish & by_key.keys() for wish in wishes.together], alone)
    for unit in found:
        both = [pair for pair in apart if pair <= unit]
        if both:
            raise Impossible("both", both[0])
        if len({by_key[key].sits for key in unit} - {None}) > 1:
            raise Impossible("sits", unit)
        if all(most is not None and len(unit) > most for most in room):
            raise Impossible("large", unit)
    wanted = Counter(key for pair in apart for key in pair)
    order = sorted(found, key=lambda unit: (-len(unit), -sum(wanted[key] for key in unit), min(unit)))
    return [[by_key[key] for key in sorted(unit)] for unit in order]


def _joined(wishes: Iterable[frozenset[str]], others: Iterable[str]) -> list[frozenset[str]]:
    """Wishes that share somebody are one; `others` each alone, where they are in none."""
    found: list[frozenset[str]] = []
    for wish in wishes:
        touching = [each for each in found if each & wish]
        found = [each for each in found if not each & wish] + [wish.union(*touching)]
    alone = set(others) - {key for each in found for key in each}
    return [each for each in found if each] + [frozenset({key}) for key in sorted(alone)]


# Seats --------------------------------------------------------------------------------------------------------------------------------


#: What is known of somebody, each fact by its number.
_Kind = tuple[int, ...]


class _Table:
    """The groups while they fill. `_off[group][fact]`: how many more there are of a fact than the group's share; each fact has a number."""

    def __init__(self, people: Sequence[Someone], room: Sequence[int | None]) -> None:
        self._people, self._room = sorted(people, key=lambda each: each.key), room
        self._groups = range(len(room))
        numbered: dict[tuple[int, str], int] = {}
        self._facts = {
            each.key: tuple(numbered.setdefault((factor, fact), len(numbered)) for factor, fact in enumerate(each.facts))
            for each in self._people
        }
        self._kinds = sorted(set(self._facts.values()))
        whole = Counter(fact for facts in self._facts.values() for fact in facts)
        self._share = [whole[fact] / max(len(people), 1) for fact in range(len(numbered))]
        self._place = {each.key: each.sits for each in self._people if each.sits is not None}
        self._held = set(self._place)
        self._size = [0] * len(room)
        for place in self._place.values():
            self._size[place] += 1
        self._off: list[list[float]] = []

    def places(self) -> dict[str, int]:
        return dict(self._place)

    def imbalance(self) -> float:
        return imbalance(self._people, self._place, len(self._room))

    def seat_wishes(self, units: Sequence[Sequence[Someone]], wishes: Wishes) -> None:
        """Seats for all who have wishes, by trying; those who sit already draw the others to them. Raises `Impossible`."""
        against: dict[str, set[str]] = defaultdict(set)
        for wish in wishes.apart:
            for key in wish:
                against[key] |= wish - {key}
        self._barred = set(wishes.barred)
        self._target = sizes(self._size, self._room, len(self._people) - len(self._place))
        self._count()
        left = [unit for unit in units if any(each.key not in self._place for each in unit)]
        steps = [0]
        if not self._try(left, against, steps):
            raise Impossible("apart", {each.key for unit in left for each in unit})

    def _try(self, left: Sequence[Sequence[Someone]], against: Mapping[str, set[str]], steps: list[int]) -> bool:
        if not left:
            return True
        steps[0] += 1
        unit = left[0]
        for group in self._open_to(unit, against):
            if steps[0] > _MOST_STEPS:
                return False
            new = [each.key for each in unit if each.key not in self._place]
            for key in new:
                self._sit(key, group)
            if self._try(left[1:], against, steps):
                self._held.update(new)
                return True
            for key in new:
                self._rise(key)
        return False

    def _open_to(self, unit: Sequence[Someone], against: Mapping[str, set[str]]) -> list[int]:
        """The groups where all of these can sit, the one that is meant to grow and lacks them most first."""
        drawn = {self._place[each.key] for each in unit if each.key in self._place}
        new = [each.key for each in unit if each.key not in self._place]
        shunned = {self._place[key] for each in unit for key in against[each.key] if key in self._place}
        shunned |= {group for group in self._groups for each in unit if (each.key, group) in self._barred}
        able = [group for group in self._groups if group not in shunned and (not drawn or group in drawn) and self._takes(group, len(new))]
        cost = {group: sum(self._cost(key, group) for key in new) for group in able}
        return sorted(able, key=lambda group: (max(0, self._size[group] + len(new) - self._target[group]), cost[group], group))

    def _takes(self, group: int, many: int) -> bool:
        most = self._room[group]
        return most is None or self._size[group] + many <= most

    def deal(self, chance: random.Random) -> None:
        """Everybody else, one kind of people after the other, each to the group that lacks them most of those that have a seat left."""
        self._target = sizes(self._size, self._room, len(self._people) - len(self._place))
        self._count()
        left = [each.key for each in self._people if each.key not in self._place]
        chance.shuffle(left)
        kinds = Counter(self._facts[key] for key in left)
        order = {kind: (-many, chance.random()) for kind, many in sorted(kinds.items())}
        for key in sorted(left, key=lambda key: order[self._facts[key]]):
            open_ = [group for group in self._groups if self._size[group] < self._target[group]]
            self._sit(key, min(open_, key=lambda group: (self._cost(key, group), chance.random())))

    def swap(self, looks: list[int]) -> None:
        """Let two people change places as long as that makes the imbalance smaller; in a group one of a kind stands for all of it.

        `looks` counts the pairs that are looked at; after the last one that it may have all stays as it is.
        """
        kinds: list[dict[_Kind, list[str]]] = [defaultdict(list) for _ in self._groups]
        for key, place in self._place.items():
            if key not in self._held:
                kinds[place][self._facts[key]].append(key)
        costs = [self._costs(group) for group in self._groups]
        helped = True
        while helped:
            helped = False
            for here in self._groups:
                for mine in list(kinds[here]):
                    if looks[0] >= _MOST_LOOKS:
                        return
                    looks[0] += sum(map(len, kinds))
                    found = self._best_for(mine, here, kinds, costs) if kinds[here][mine] else None
                    if found is not None:
                        self._change(kinds, (here, mine), found)
                        costs[here], costs[found[0]] = self._costs(here), self._costs(found[0])
                        helped = True

    def _costs(self, group: int) -> dict[_Kind, float]:
        off = self._off[group]
        return {kind: sum(off[fact] for fact in kind) for kind in self._kinds}

    def _best_for(
        self, mine: _Kind, here: int, kinds: Sequence[Mapping[_Kind, list[str]]], costs: Sequence[Mapping[_Kind, float]]
    ) -> tuple[int, _Kind] | None:
        """With which kind of another group somebody of this kind had best change places; None where it helps with none."""
        best, found = -_LESS, None
        near = costs[here]
        for there, far in enumerate(costs):
            into = far[mine] - near[mine]
            for theirs, keys in kinds[there].items():
                rough = into + near[theirs] - far[theirs]
                if keys and 2 * rough < best and there != here:
                    change = 2 * rough + 4 * sum(a != b for a, b in zip(mine, theirs, strict=True))
                    if change < best:
                        best, found = change, (there, theirs)
        return found

    def _change(self, kinds: Sequence[dict[_Kind, list[str]]], one: tuple[int, _Kind], other: tuple[int, _Kind]) -> None:
        for (here, kind), (there, _) in ((one, other), (other, one)):
            key = kinds[here][kind].pop()
            self._rise(key)
            self._sit(key, there)
            kinds[there][kind].append(key)

    # -- counting

    def _count(self) -> None:
        """`_off` from the seats as they are, against the share of a group of the size that is meant."""
        self._off = [[-share * size for share in self._share] for size in self._target]
        for key, place in self._place.items():
            for fact in self._facts[key]:
                self._off[place][fact] += 1

    def _cost(self, key: str, group: int) -> float:
        """By how much the imbalance grows, but for a constant, when this person comes to a group."""
        return sum(self._off[group][fact] for fact in self._facts[key])

    def _sit(self, key: str, group: int) -> None:
        self._place[key] = group
        self._size[group] += 1
        for fact in self._facts[key]:
            self._off[group][fact] += 1

    def _rise(self, key: str) -> None:
        group = self._place.pop(key)
        self._size[group] -= 1
        for fact in self._facts[key]:
            self._off[group][fact] -= 1
