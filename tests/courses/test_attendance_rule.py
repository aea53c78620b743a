"""How many classes count as taking part is said in the course file, and cannot be more than there are."""

from pathlib import Path

import pytest

from app.courses import file
from app.errors import Invalid

SHIPPED = (file.SHIPPED / "msc-8-week.toml").read_text(encoding="utf-8")


def test_the_shipped_course_asks_for_six_of_eight() -> None:
    read = file.read("msc-8-week")
    assert read.attendance is not None
    assert (read.attendance.needed, len(read.weeks)) == (6, 8)
    assert file.read("two-week-pilot").attendance is None


@pytest.mark.parametrize(
    ("rule", "says"),
    [("needed = 9", "at most that many"), ("needed = 0", "needed"), ("need = 6", "need is a word that no course file has")],
)
def test_a_rule_that_does_not_fit_is_named_with_its_line(tmp_path: Path, rule: str, says: str) -> None:
    path = tmp_path / "course.toml"
    path.write_text(SHIPPED.replace("needed = 6", rule), encoding="utf-8")
    line = next(number for number, text in enumerate(SHIPPED.splitlines(), start=1) if text in ("[attendance]", "needed = 6"))
    with pytest.raises(Invalid) as error:
        file.read(str(path))
    assert says in error.value.sentence
    assert f"line {line}" in error.value.sentence or f"line {line + 1}" in error.value.sentence
