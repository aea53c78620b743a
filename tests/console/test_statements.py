"""How often a page asks the database does not depend on how many there are of anything."""

from tests.console import lived
from tests.console.lived import Lived, pages
from tests.console.visiting import browsing, queries
from tests.delivery.scene import NOW, Desk, at


def counted(world: Lived, said: list[str]) -> dict[tuple[str, str], list[str]]:
    """The queries of each page, for each role that may come there."""
    found = {}
    for role, who in world.staff.items():
        with browsing(world.desk, who) as browser:
            for _, path in pages(world):
                said.clear()
                if browser.get(path).status_code == 200:
                    found[role.value, path] = list(said)
    return found


def test_no_page_asks_more_often_where_there_is_three_times_as_much_of_everything(sqlite_url: str) -> None:
    with Desk(sqlite_url) as desk, at(NOW), queries(desk) as said:
        world = lived.grow(lived.course(desk, NOW), 2)
        few = counted(world, said)
        many = counted(lived.grow(world, 4), said)
    more = {where: _more(few[where], many[where]) for where in few if len(many[where]) > len(few[where])}
    assert more == {}
    assert set(few) == set(many)
    assert len({path for _, path in few}) >= 18
    assert max(map(len, many.values())) <= 40


def _more(few: list[str], many: list[str]) -> list[str]:
    return [f"{many.count(each) - few.count(each)} x {each[:300]}" for each in dict.fromkeys(many) if many.count(each) > few.count(each)]
