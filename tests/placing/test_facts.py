"""How gender, age, city and experience are spelled in rosters and forms, and the wishes beside them."""

import pytest

from app.placing.facts import Facts, freeze, from_cells, from_labels, thaw
from app.placing.wishes import NoWish, understand

KEYS = {"20481": "p1", "R1": "i1", "R17": "i17"}
PLACES = {"dawn": 0, "Dusk": 1}


@pytest.mark.parametrize(
    ("cells", "facts"),
    [
        ({"gender": "女", "age": "36", "city": "北京市", "experience": "没有"}, Facts("female", 36, "北京", "none")),
        ({"gender": "Ｆ", "age": "３６岁", "city": " beijing ", "experience": "None"}, Facts("female", 36, "Beijing", "none")),
        ({"gender": "其他", "age": "", "city": "沙市", "experience": "无"}, Facts("another", None, "沙市", "none")),
        ({"gender": "不想说", "age": "不详", "city": "-", "experience": "未知"}, Facts()),
        ({}, Facts()),
    ],
)
def test_cells_are_understood_as_people_write_them(cells: dict[str, str], facts: Facts) -> None:
    assert from_cells(cells) == facts
    assert thaw(freeze(facts)) == facts


@pytest.mark.parametrize("cells", [{"gender": "x"}, {"age": "9"}, {"age": "111"}, {"age": "²3"}, {"age": "36.5"}, {"experience": "some"}])
def test_a_cell_that_says_nothing_we_know_is_refused(cells: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="nothing"):
        from_cells(cells)


@pytest.mark.parametrize(
    ("labels", "facts"),
    [
        ({"gender": "male", "age": "52", "city": "西安市", "meditated": "no"}, Facts("male", 52, "西安", "none")),
        ({"meditated": "yes", "meditated_for": "three months or more"}, Facts(experience="long")),
        ({"meditated": "yes", "gender": "I would rather not say", "city": "a long story of where I live and why"}, Facts()),
    ],
)
def test_labels_of_the_form_are_understood(labels: dict[str, str], facts: Facts) -> None:
    assert from_labels(labels) == facts


def test_ages_are_counted_in_bands() -> None:
    assert [Facts(age=age).answer("age") for age in (12, 29, 30, 59, 60, 99)] == ["18", "18", "30", "50", "60", "60"]


def test_every_label_of_the_shipped_form_is_one_of_our_words() -> None:
    from bots.questionnaire.instrument import find

    labels = {item.name: item.anchors.get("en", ()) for item in find()["intake"].items}
    assert [from_labels({"gender": each}).gender for each in labels["gender"]] == ["female", "male", "another", ""]
    assert [from_labels({"meditated": "yes", "meditated_for": each}).experience for each in labels["meditated_for"]] == ["short", "long"]
    assert [from_labels({"meditated": each}).experience for each in labels["meditated"]] == ["", "none"]


def test_wishes_are_read_in_any_punctuation_and_a_group_keeps_somebody_in_or_out() -> None:
    wishes, written = understand(" 20481，r1\n\n、\nR17 DUSK", "r17；dawn", KEYS, PLACES, 3)
    assert wishes.together == (frozenset({"p1", "i1"}),)
    assert set(wishes.barred) == {("i17", 0), ("i17", 2)}
    assert (written.together, written.apart) == ("20481 R1\nR17 Dusk", "R17 dawn")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("R1 R2", "wish_unknown"),
        ("R1", "wish_alone"),
        ("dawn dusk R1", "wish_groups"),
        ("dawn", "wish_alone"),
        ("R1 R1", "wish_alone"),
        ("R1 R17\n" * 201, "wish_many"),
        ("x" * 4_001, "wish_many"),
        ("R1 \u0000", "wish_unknown"),
    ],
)
def test_a_line_that_is_no_wish_is_refused(text: str, code: str) -> None:
    with pytest.raises(NoWish) as refused:
        understand(text, "", KEYS, PLACES, 2)
    assert refused.value.code == code
    assert understand("", "", KEYS, PLACES, 2)[0].together == ()


def test_a_wish_about_somebody_who_is_gone_is_passed_over_later() -> None:
    assert understand("R1 R99", "R1 R17", KEYS, PLACES, 2, strict=False)[0].apart == (frozenset({"i1", "i17"}),)
