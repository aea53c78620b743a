"""Hides the wording of refusals: an errcode in, WeChat's JSON out, always in HTTP 200 (wechat-platform.md 386)."""

import secrets
from typing import Any

#: The codes of wechat-platform.md 4.2, 5.1, 6, 7, 8 and 9; the menu's sizes (40016-40027) after WxJava's list.
MEANINGS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40015: "invalid menu type",
    40016: "invalid button size",
    40017: "invalid button type",
    40018: "invalid button name size",
    40019: "invalid button key size",
    40020: "invalid button url size",
    40022: "invalid sub button level",
    40023: "invalid sub button size",
    40024: "invalid sub button type",
    40025: "invalid sub button name size",
    40026: "invalid sub button key size",
    40027: "invalid sub button url size",
    40032: "invalid openid list size",
    40033: "invalid charset. please check your request, if include \\uxxxx will create fail",
    40035: "invalid parameter",
    40037: "invalid template_id",
    40054: "invalid sub button url domain",
    40055: "invalid button url domain",
    40059: "invalid msg id",
    40066: "invalid url",
    40125: "invalid appsecret",
    40130: "invalid openid list size, at least two openid",
    40200: "invalid account type",
    40241: "duplicate in 60 seconds",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41006: "media_id missing",
    41009: "openid missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    43019: "user is in the blacklist",
    43117: "send template message too frequently to this openid",
    44002: "empty post data",
    44004: "empty content",
    45001: "media size out of limit",
    45002: "content size out of limit",
    45008: "article size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45026: "template num exceeds limit",
    45028: "has no masssend quota",
    45029: "qrcode count out of limit",
    45047: "out of response count limit",
    45056: "too many tags now, no need to add new",
    45058: "can't modify sys tag",
    45059: "can't add more tags to this user",
    45065: "clientmsgid exist",
    45066: "same clientmsgid retry too fast",
    45067: "clientmsgid size out of limit",
    45072: "invalid command",
    45080: "no message within 30 seconds",
    45081: "typing already",
    45083: "speed out of range",
    45084: "speed missing",
    45098: "msgmenu list out of limit",
    45099: "msgmenu item size out of limit",
    45157: "invalid tag name, duplicated",
    45158: "tag name too long",
    45159: "invalid tag id",
    46003: "menu not exist",
    47001: "data format error",
    47002: "data charset error, do not escape to \\uxxxx",
    47003: "argument invalid!",
    48002: "user refuses to receive",
    48006: "forbid to clear quota because of reaching the limit",
    48008: "message type not allowed",
    49003: "not match openid with appid",
    76021: "cgi_path not found, please check",
}


class Refused(Exception):
    """WeChat does not do this. `extra` stands beside errcode in the answer (45065 carries the existing msg_id)."""

    def __init__(self, code: int, detail: str = "", **extra: object) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.extra = extra


def refusal(refused: Refused, now: float) -> dict[str, Any]:
    """The answer's JSON. The errmsg ends in ` rid: …`, which begins with the time (wechat-platform.md 239)."""
    words = " ".join(part for part in (MEANINGS.get(refused.code, "error"), refused.detail) if part)
    rid = f"{int(now):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return {"errcode": refused.code, "errmsg": f"{words} rid: {rid}", **refused.extra}
