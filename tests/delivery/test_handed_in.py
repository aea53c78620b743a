"""What was handed in: how it stands in what is asked afterwards."""

import pytest
import sqlalchemy as sa

from app.models import Sheet
from tests.delivery.answering import Talk, standing, stored, wave
from tests.delivery.scene import Desk


@pytest.mark.parametrize("counted", [True, False])
def test_a_form_that_was_handed_in_goes_on_counting_what_was_asked(database_url: str, counted: bool) -> None:
    """`counted` False: it was handed in before sheets remembered how much was asked."""
    with Desk(database_url) as desk:
        person, talk = desk.person(), Talk(desk, 1)
        asked = wave(desk, ["intake", "swls"])
        for words in ("问卷", "1", "36", "2", "1", "2", "4=2", "1", "2", "青岛", "交"):
            talk.says(words)
        assert stored(desk, person.id, asked)["intake"][5] == 2, "what was answered before the branch was closed stays"
        if not counted:
            desk.write(lambda tx: tx.execute(sa.update(Sheet).values(asked=None)))
        assert "生活满意度 2/5 · 总 9/12" in talk.says("1")
        for words in ("1", "1", "1", "1"):
            talk.says(words)
        assert "12" in talk.says("交")
        assert standing(desk, person.id, asked) == "complete"
