"""Hides how gender, age, city and experience are spelled: in a roster, in a form's labels, and as the answers that a proposal counts."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass

#: What groups are balanced by, in the order in which it is shown.
FACTORS = ("gender", "age", "city", "experience")
#: The first year of each band of ages; whoever is younger than the second one is in the first.
AGES = (18, 30, 40, 50, 60)
_YOUNGEST, _OLDEST, _LONGEST_CITY = 10, 110, 30
#: Nothing was said, in the words of those who fill in tables and forms.
_NOTHING = frozenset(
    {"", "-", "--", "—", "/", "?", "无", "未知", "不详", "不知道", "不想说", "保密", "unknown", "n/a", "na", "i would rather not say"}
)
_GENDERS = {
    "female": ("女", "女性", "女士", "f", "female", "woman"),
    "male": ("男", "男性", "男士", "m", "male", "man"),
    "another": ("其他", "其它", "another", "other"),
}
_EXPERIENCES = {
    "none": ("没有", "没练过", "未练过", "否", "0", "no", "none", "never"),
    "short": (
        "不到三个月",
        "三个月以内",
        "三个月以下",
        "不超过三个月",
        "<3",
        "less than three months",
        "up to 3 months",
        "up to three months",
    ),
    "long": ("三个月以上", "三个月或更久", "超过三个月", ">3", "three months or more", "more than 3 months", "more", "longer"),
}
_GENDER_OF = {word: code for code, words in _GENDERS.items() for word in words}
_EXPERIENCE_OF = {word: code for code, words in _EXPERIENCES.items() for word in words}
#: A form asks whether, and then for how long.
_YES = frozenset({"练过", "有", "是", "yes"})


@dataclass(frozen=True)
class Facts:
    """What is known of somebody; "" and None where it is not."""

    gender: str = ""
    age: int | None = None
    city: str = ""
    experience: str = ""

    @property
    def known(self) -> bool:
        """Whether anything is."""
        return self != Facts()

    def over(self, other: "Facts") -> "Facts":
        """These, and where they say nothing, the other ones."""
        return Facts(self.gender or other.gender, self.age or other.age, self.city or other.city, self.experience or other.experience)

    def answer(self, factor: str) -> str:
        """The answer that is counted: a gender, a band of ages by its first year, a city, an experience; "" where it is not known."""
        return _band(self.age) if factor == "age" else str(getattr(self, factor))


def _band(age: int | None) -> str:
    return "" if age is None else str(max((start for start in AGES if start <= age), default=AGES[0]))


def from_cells(cells: Mapping[str, str]) -> Facts:
    """What stands in a roster's columns of these names. Raises `ValueError` with a sentence."""
    return Facts(
        _gender(cells.get("gender", "")), _age(cells.get("age", "")), _city(cells.get("city", "")), _experience(cells.get("experience", ""))
    )


def from_labels(labels: Mapping[str, str]) -> Facts:
    """What somebody chose or typed in a form, by the names of its items: gender, age, city, meditated, meditated_for.

    A label or text that none of our words fits counts as not known.
    """
    age, city = _plain(labels.get("age", "")), _plain(labels.get("city", ""))
    long, ever = (_plain(labels.get(name, "")) for name in ("meditated_for", "meditated"))
    return Facts(
        _GENDER_OF.get(_plain(labels.get("gender", "")), ""),
        int(age) if re.fullmatch("[1-9][0-9]{1,2}", age) else None,
        _town(city) if len(city) <= _LONGEST_CITY else "",
        _EXPERIENCE_OF.get(long, "") or ("" if ever in _YES else _EXPERIENCE_OF.get(ever, "")),
    )


def freeze(facts: Facts) -> str | None:
    """As text to be sealed; None where nothing is known."""
    return json.dumps({name: value for name, value in asdict(facts).items() if value}, ensure_ascii=False) if facts.known else None


def thaw(text: str | None) -> Facts:
    """The opposite of `freeze`."""
    return Facts(**json.loads(text)) if text else Facts()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _gender(cell: str) -> str:
    word = _plain(cell)
    if word in _NOTHING:
        return ""
    if word not in _GENDER_OF:
        raise ValueError(f"There is no gender {cell[:40]!r} here; write 女, 男, 其他 (female, male, another), or nothing.")
    return _GENDER_OF[word]


def _age(cell: str) -> int | None:
    word = _plain(cell).removesuffix("岁").strip()
    if word in _NOTHING:
        return None
    raised = any(each.isdigit() and not each.isdecimal() for each in cell)  # "²3" is no 23
    if raised or not re.fullmatch("[1-9][0-9]{1,2}", word) or not _YOUNGEST <= int(word) <= _OLDEST:
        raise ValueError(f"The age is a whole number of years from {_YOUNGEST} to {_OLDEST}, or nothing.")
    return int(word)


def _city(cell: str) -> str:
    word = _plain(cell)
    if word in _NOTHING:
        return ""
    if len(word) > _LONGEST_CITY:
        raise ValueError(f"The city has at most {_LONGEST_CITY} characters; write its name only.")
    return _town(word)


def _town(word: str) -> str:
    """One spelling for 北京, 北京市 and Beijing City's own ways."""
    if word in _NOTHING:
        return ""
    short = re.sub(r"(?<=..)市$|(?<=[a-z]) city$", "", word)
    return short.title() if short.isascii() else short


def _experience(cell: str) -> str:
    word = _plain(cell)
    if word in _NOTHING - {"无"}:
        return ""
    if word == "无":
        return "none"
    if word not in _EXPERIENCE_OF:
        raise ValueError(
            f"There is no experience {cell[:40]!r} here; write 没有, 不到三个月, 三个月以上 (none, up to 3 months, more), or nothing."
        )
    return _EXPERIENCE_OF[word]
