"""Followers, tags and the blacklist (wechat-platform.md 338-353)."""

from tests.sandbox.conftest import Desk


def tag(desk: Desk, name: str = "小组一") -> int:
    return int(desk.api("tags/create", {"tag": {"name": name}})["tag"]["id"])


def tag_people(desk: Desk, number: object, *openids: str) -> int:
    return desk.code("tags/members/batchtagging", {"openid_list": list(openids), "tagid": number})


def test_a_follower_is_described_without_a_name(desk: Desk) -> None:
    openid = desk.follower()
    told = desk.api("user/info", openid=openid, lang="zh_CN")
    assert (told["subscribe"], told["openid"], told["nickname"], told["headimgurl"]) == (1, openid, "", "")
    assert "errcode" not in told


def test_of_somebody_who_left_only_that_is_told(desk: Desk) -> None:
    openid = desk.follower()
    desk.do(openid, "unfollow")
    assert desk.api("user/info", openid=openid) == {"subscribe": 0, "openid": openid}


def test_a_missing_and_a_foreign_openid_are_refused(desk: Desk) -> None:
    assert desk.code("user/info") == 41009
    assert desk.code("user/info", openid="oUnknown00000000000000000000") == 40003


def test_a_hundred_people_can_be_asked_for_at_once(desk: Desk) -> None:
    openids = [desk.follower(), desk.person()]
    answer = desk.api("user/info/batchget", {"user_list": [{"openid": openid} for openid in openids]})
    assert [each["subscribe"] for each in answer["user_info_list"]] == [1, 0]
    assert desk.code("user/info/batchget", {"user_list": [{"openid": openids[0]}] * 101}) == 40032


def test_the_list_of_followers_comes_in_pages_and_the_last_has_no_data(desk: Desk) -> None:
    openids = [desk.follower() for _ in range(5)]
    desk.person()
    desk.switch(page=2)
    pages, after = [], ""
    while True:
        page = desk.api("user/get", next_openid=after)
        if "data" not in page:
            break
        pages.append(page["data"]["openid"])
        after = page["next_openid"]
    assert pages == [openids[:2], openids[2:4], openids[4:]]
    assert (page["total"], page["count"], page["next_openid"]) == (5, 0, "")
    assert desk.code("user/get", next_openid="oUnknown00000000000000000000") == 40003


def test_a_remark_is_kept_and_may_not_be_long(desk: Desk) -> None:
    openid = desk.follower()
    assert desk.code("user/info/updateremark", {"openid": openid, "remark": "三组"}) == 0
    assert desk.api("user/info", openid=openid)["remark"] == "三组"
    assert desk.code("user/info/updateremark", {"openid": openid, "remark": "x" * 30}) == 40035


def test_tag_names_are_short_and_unique(desk: Desk) -> None:
    number = tag(desk)
    assert number >= 100
    assert desk.code("tags/create", {"tag": {"name": "小组一"}}) == 45157
    assert desk.code("tags/create", {"tag": {"name": "十一个汉字的名字太长了"}}) == 45158
    assert desk.code("tags/create", {"tag": {"name": ""}}) == 40035


def test_there_are_a_hundred_tags_at_most(desk: Desk) -> None:
    for number in range(100):
        tag(desk, f"t{number}")
    assert desk.code("tags/create", {"tag": {"name": "one more"}}) == 45056


def test_tags_can_be_renamed_and_deleted_but_not_the_systems(desk: Desk) -> None:
    openid, number = desk.follower(), tag(desk)
    tag_people(desk, number, openid)
    assert desk.code("tags/update", {"tag": {"id": number, "name": "小组二"}}) == 0
    assert {"id": number, "name": "小组二", "count": 1} in desk.api("tags/get")["tags"]
    assert desk.code("tags/delete", {"tag": {"id": 2}}) == 45058
    assert desk.code("tags/delete", {"tag": {"id": 999}}) == 45159
    assert desk.code("tags/delete", {"tag": {"id": number}}) == 0
    assert desk.api("tags/getidlist", {"openid": openid})["tagid_list"] == []


def test_one_person_who_left_fails_the_whole_batch(desk: Desk) -> None:
    first, gone, number = desk.follower(), desk.person(), tag(desk)
    assert tag_people(desk, number, first, gone) == 49003
    assert tag_people(desk, number, first, "oUnknown00000000000000000000") == 40003
    assert desk.api("tags/getidlist", {"openid": first})["tagid_list"] == []


def test_fifty_people_are_tagged_at_once_and_no_more(desk: Desk) -> None:
    number, openid = tag(desk), desk.follower()
    assert tag_people(desk, number, *[openid] * 51) == 40032
    assert tag_people(desk, 999, openid) == 45159
    assert tag_people(desk, str(number), openid) == 0


def test_a_person_has_twenty_tags_at_most(desk: Desk) -> None:
    openid = desk.follower()
    codes = [tag_people(desk, tag(desk, f"t{number}"), openid) for number in range(21)]
    assert codes == [0] * 20 + [45059]


def test_the_members_of_a_tag_are_listed_and_leave_it(desk: Desk) -> None:
    first, second, number = desk.follower(), desk.follower(), tag(desk)
    tag_people(desk, number, first, second)
    assert desk.code("tags/members/batchuntagging", {"openid_list": [first], "tagid": number}) == 0
    listed = desk.api("user/tag/get", {"tagid": number, "next_openid": ""})
    assert (listed["count"], listed["data"]["openid"]) == (1, [second])
    desk.do(second, "unfollow")
    assert desk.api("user/tag/get", {"tagid": number})["count"] == 0


def test_the_order_of_tags_is_the_order_of_tagging(desk: Desk) -> None:
    openid, first, second = desk.follower(), tag(desk, "a"), tag(desk, "b")
    tag_people(desk, first, openid)
    tag_people(desk, second, openid)
    tag_people(desk, first, openid)
    assert desk.api("user/info", openid=openid)["tagid_list"] == [second, first]


def test_the_account_does_not_hear_a_blacklisted_person(desk: Desk) -> None:
    openid = desk.follower()
    assert desk.code("tags/members/batchblacklist", {"openid_list": [openid]}) == 0
    assert desk.api("tags/members/getblacklist", {"begin_openid": ""})["data"]["openid"] == [openid]
    desk.do(openid, "say", text="听得到吗")
    assert desk.pushes() == []
    desk.api("tags/members/batchunblacklist", {"openid_list": [openid]})
    desk.do(openid, "say", text="现在呢")
    assert desk.push()["Content"] == "现在呢"
    assert desk.code("tags/members/batchblacklist", {"openid_list": [openid] * 21}) == 40032
