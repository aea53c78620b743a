"""Access tokens (wechat-platform.md 376-385)."""

from tests.sandbox.conftest import Desk


def classic(desk: Desk) -> str:
    query = {"grant_type": "client_credential", "appid": desk.appid, "secret": desk.secret}
    answer = desk.http.get("/cgi-bin/token", params=query).json()
    assert answer["expires_in"] == 7200
    return str(answer["access_token"])


def stable(desk: Desk, *, force: bool = False) -> dict[str, object]:
    body = {"grant_type": "client_credential", "appid": desk.appid, "secret": desk.secret, "force_refresh": force}
    answer: dict[str, object] = desk.http.post("/cgi-bin/stable_token", json=body).json()
    return answer


def code_with(desk: Desk, token: object) -> int:
    return int(desk.http.get("/cgi-bin/getcallbackip", params={"access_token": str(token)}).json().get("errcode", 0))


def test_a_second_classic_token_leaves_the_first_five_minutes(desk: Desk) -> None:
    first = classic(desk)
    second = classic(desk)
    assert first != second
    assert code_with(desk, first) == 0
    desk.advance(301)
    assert code_with(desk, first) == 40001
    assert code_with(desk, second) == 0


def test_a_token_expires_after_two_hours(desk: Desk) -> None:
    token = classic(desk)
    desk.advance(7201)
    assert code_with(desk, token) == 42001


def test_a_token_is_as_long_as_the_platform_warns(desk: Desk) -> None:
    assert len(classic(desk)) == 512


def test_the_stable_token_stays_the_same_until_five_minutes_before_its_end(desk: Desk) -> None:
    first = stable(desk)
    desk.advance(6800)
    same = stable(desk)
    assert same["access_token"] == first["access_token"]
    assert 390 <= int(str(same["expires_in"])) <= 400
    desk.advance(150)
    renewed = stable(desk)
    assert renewed["access_token"] != first["access_token"]
    assert code_with(desk, first["access_token"]) == code_with(desk, renewed["access_token"]) == 0
    desk.advance(251)
    assert code_with(desk, first["access_token"]) == 40001


def test_the_two_kinds_of_token_do_not_touch_each_other(desk: Desk) -> None:
    steady = stable(desk)["access_token"]
    classic(desk)
    desk.advance(400)
    assert code_with(desk, steady) == 0


def test_a_forced_refresh_kills_the_former_token_at_once_but_not_twice_in_thirty_seconds(desk: Desk) -> None:
    first = stable(desk)["access_token"]
    second = stable(desk, force=True)["access_token"]
    assert code_with(desk, first) == 40001
    assert stable(desk, force=True)["access_token"] == second
    desk.advance(31)
    assert stable(desk, force=True)["access_token"] != second


def test_a_twenty_first_forced_refresh_of_a_day_is_refused(desk: Desk) -> None:
    desk.to_noon()
    for _ in range(20):
        assert "access_token" in stable(desk, force=True)
        desk.advance(31)
    assert stable(desk, force=True)["errcode"] == 45009
    desk.advance(86_400)
    assert "access_token" in stable(desk, force=True)


def test_wrong_credentials_are_named(desk: Desk) -> None:
    def code(**query: str) -> int:
        return int(desk.http.get("/cgi-bin/token", params=query).json()["errcode"])

    assert code(grant_type="password", appid=desk.appid, secret=desk.secret) == 40002
    assert code(grant_type="client_credential", secret=desk.secret) == 41002
    assert code(grant_type="client_credential", appid="wx-unknown", secret="x") == 40013
    assert code(grant_type="client_credential", appid=desk.appid) == 41004
    assert code(grant_type="client_credential", appid=desk.appid, secret="wrong") == 40125


def test_missing_malformed_and_invented_tokens_are_told_apart(desk: Desk) -> None:
    assert code_with(desk, "") == 41001
    assert code_with(desk, "short") == 40014
    assert code_with(desk, "x" * 512) == 40001


def test_the_wrong_method_and_an_unknown_path_are_refused_in_http_200(desk: Desk) -> None:
    answer = desk.http.get("/cgi-bin/stable_token")
    assert (answer.status_code, answer.json()["errcode"]) == (200, 43002)
    assert desk.http.post("/cgi-bin/token").json()["errcode"] == 43001
    assert desk.code("message/custom/nothing") == 40066


def test_every_refusal_carries_a_rid(desk: Desk) -> None:
    message = desk.http.get("/cgi-bin/getcallbackip").json()["errmsg"]
    assert message.startswith("access_token missing rid: ")
