"""Every errcode has one meaning (bad-inputs.md part 4, L5), and an errmsg loses what must not be stored."""

import pytest

from app.channels import Verdict
from app.channels.wechat.errors import VERDICTS, scrub, verdict
from tests.channels.platform import APPID, OPENID, SECRET

# Written out a second time on purpose, from bad-inputs.md part 4 and the platform reference 4.2, 5.1, 6, 7 and 9.
MEANINGS = {
    Verdict.TOKEN: "40001 40014 42001",
    Verdict.BUSY: "-1",
    Verdict.WAIT_MINUTE: "45011",
    Verdict.WAIT_DAY: "45009",
    Verdict.SAME_ID_TOO_SOON: "45066",
    Verdict.DUPLICATE: "45065 40241",
    Verdict.WINDOW_CLOSED: "45015",
    Verdict.ALLOWANCE_USED: "45047",
    Verdict.TOO_OFTEN: "43117",
    Verdict.QUOTA_USED: "45028",
    Verdict.RECIPIENT_CLOSED: "40003 43004 43019 48002 49003 50002 50005 70000",
    Verdict.BAD_MESSAGE: (
        "40007 40008 40032 40033 40035 40037 40059 40200 41028 41030 43116 44004 45002 45008 45026 45027 45029 45056 45057 45058 45059 "
        "45067 45072 45080 45081 45098 45099 45157 45158 45159 47001 47002 47003 48008 48011"
    ),
    Verdict.ACCOUNT_BROKEN: ("40002 40013 40125 40164 40243 41001 41002 41004 43002 43106 45087 45094 45102 48001 48003 48004 50001 89503"),
}
LISTED = [(int(code), meant) for meant, codes in MEANINGS.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "meant"), LISTED)
def test_each_listed_code_means_one_thing(code: int, meant: Verdict) -> None:
    assert verdict(code) is meant


def test_the_table_and_its_second_writing_hold_the_same_codes() -> None:
    assert dict(LISTED) == dict(VERDICTS)


@pytest.mark.parametrize("code", [1, 12345, 99999, -2])
def test_l5_an_unseen_code_is_permanent_for_its_message_and_told_apart(code: int) -> None:
    assert verdict(code) is Verdict.BAD_MESSAGE
    assert code not in VERDICTS


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_where_a_token_is_fetched_a_wrong_secret_breaks_the_account(code: int) -> None:
    assert verdict(code, token_call=True) is Verdict.ACCOUNT_BROKEN


def test_transient_answers_keep_their_meaning_where_a_token_is_fetched() -> None:
    assert verdict(45009, token_call=True) is Verdict.WAIT_DAY
    assert verdict(-1, token_call=True) is Verdict.BUSY


LONG_TOKEN = "88_AbCdEf-" * 14


@pytest.mark.parametrize(
    "errmsg",
    [
        f"invalid credential, access_token is invalid or not latest: {LONG_TOKEN} rid: 5f3b2a1c-12345678-0a1b2c3d",
        f"invalid appsecret {SECRET}",
        f"openid {OPENID} is not a follower",
        f"touser={OPENID}&access_token=short",
        f"see https://api.weixin.qq.com/cgi-bin/x?access_token={LONG_TOKEN}",
        'secret: "abc"',
    ],
)
def test_an_errmsg_loses_tokens_secrets_openids_and_addresses(errmsg: str) -> None:
    clean = scrub(errmsg)
    for secret in (LONG_TOKEN, SECRET, OPENID, "https", "short", "abc"):
        assert secret not in clean


def test_an_errmsg_keeps_what_an_operator_needs() -> None:
    errmsg = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 5f3b2a1c-12345678-0a1b2c3d"
    assert scrub(errmsg) == errmsg
    assert (
        scrub("argument invalid! data.thing1.value invalid hint: [q1w2e3r4]")
        == "argument invalid! data.thing1.value invalid hint: [q1w2e3r4]"
    )


def test_known_words_are_taken_out_wherever_they_stand() -> None:
    assert scrub(f"appid {APPID} said 晚 安!", APPID, "晚\n安", "") == "appid … said …!"


def test_an_errmsg_is_one_line_of_at_most_200_characters() -> None:
    assert scrub("a\nb\x1b[31m\r\nc") == "a b[31m c"
    assert len(scrub("long word " * 100)) == 200
