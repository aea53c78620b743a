"""Hides the controls of the sandbox itself: accounts, clock, ledger, counters, faults. Reachable where the sandbox is bound: loopback."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from app.sandbox import mass, qr
from app.sandbox.agenda import plan
from app.sandbox.errors import Refused
from app.sandbox.faults import Fault, Faults
from app.sandbox.jobs import tell_mass_end
from app.sandbox.notices import add_template
from app.sandbox.pushes import Pusher
from app.sandbox.timeline import iso
from app.sandbox.tokens import reject, rotate
from app.sandbox.world import SETTINGS, Account, World

Mode = Literal["plaintext", "compatible", "safe"]
Profile = Literal["service", "test"]


class AccountGiven(BaseModel):
    """What `tongban account show --json` prints; further keys are ignored."""

    appid: str = Field(min_length=1, max_length=64)
    secret: str = Field(min_length=1)
    token: str = Field(min_length=3, max_length=32, pattern="^[0-9A-Za-z]+$")
    aes_key: str = Field(pattern="^[0-9A-Za-z]{43}$")
    original_id: str = Field(min_length=1, max_length=64)
    webhook_url: str = Field(pattern="^https?://")
    name: str | None = None
    mode: Mode | None = None
    profile: Profile | None = None


class AccountChanges(BaseModel):
    """Settings, and switches for what WeChat does only sometimes."""

    model_config = ConfigDict(extra="forbid")
    webhook_url: str | None = None
    token: str | None = None
    aes_key: str | None = None
    secret: str | None = None
    name: str | None = None
    mode: Mode | None = None
    profile: Profile | None = None
    mass_protection: bool | None = Field(None, description="sending to all waits for the administrator")
    duplicate_check: bool | None = Field(None, description="40241 for an equal notice within 60 s")
    notice_limit: int | None = Field(None, description="43117 after so many notices to one person in ten minutes")
    notice_outcome: Literal["success", "failed:user block", "failed: system failed", "failed:freq limit"] | None = None
    receipt_after: float | None = Field(None, ge=0, description="seconds until TEMPLATESENDJOBFINISH")
    receipt_copies: int | None = Field(None, ge=0, le=9, description="how often it comes: 0 never, 2 doubled")
    rotate_every: float | None = Field(None, gt=0, description="another holder of the secret forces a new token every so many seconds")
    mass_after: float | None = Field(None, ge=0, description="seconds until a mass send is done")
    mass_review: str | None = Field(
        None, pattern=r"^(err\([0-9]{1,6}\)|send fail|)$", description="how the review of a mass text ends it; empty: well"
    )
    page: int | None = Field(None, ge=1, le=10_000, description="openids a page of user/get")


class TemplateGiven(BaseModel):
    """`fields` maps each key to the label that the card shows; `values` lists the allowed words of const and enum fields."""

    title: str = Field(min_length=1)
    fields: dict[str, str] = Field(min_length=1)
    id: str | None = None
    values: dict[str, list[str]] = {}


class FaultGiven(BaseModel):
    """See `app.sandbox.faults.Fault`."""

    model_config = ConfigDict(extra="forbid")
    api: str
    errcode: int | None = None
    cut: Literal["before", "after", "half", "hang"] | None = None
    delay_ms: int = Field(0, ge=0)
    jitter_ms: int = Field(0, ge=0)
    after_ms: int = Field(0, ge=0)
    status: int | None = Field(None, ge=200, le=599)
    body: str | None = None
    undone: bool = False
    openid: str | None = None
    appid: str | None = None
    skip: int = Field(0, ge=0)
    every: int = Field(1, ge=1)
    chance: float = Field(1.0, gt=0, le=1)
    seed: int = 0
    times: int | None = Field(1, ge=1)
    name: str = ""


class TokenSpoilt(BaseModel):
    """`rotate`: another holder of the secret forces a new one, and the next plain call returns it. `reject`: the token is refused, and
    the plain call keeps returning it until somebody forces.
    """

    how: Literal["rotate", "reject"] = "rotate"


class Advance(BaseModel):
    """Seconds by which the clock moves on."""

    advance: float


class Consent(BaseModel):
    """What the administrator says to a mass send."""

    confirm: bool


def control_routes(world: World, faults: Faults, pusher: Pusher) -> APIRouter:
    """The controls, as one router."""
    router = APIRouter()
    for add in (_add_accounts, _add_mass_consent, _add_observations):
        add(router, world, pusher)
    _add_clock(router, world)
    _add_faults(router, faults)
    return router


def account_or_404(world: World, appid: str) -> Account:
    """The account. Raises a 404 where the sandbox has none."""
    try:
        return world.account(appid)
    except Refused:
        raise HTTPException(404, "There is no such account in the sandbox.") from None


def _add_accounts(router: APIRouter, world: World, pusher: Pusher) -> None:
    @router.put("/sandbox/accounts")
    async def put(given: AccountGiven) -> dict[str, Any]:
        """Idempotent by appid; an equal account writes nothing."""
        settings = given.model_dump(exclude_none=True)
        known = world.accounts.get(given.appid)
        if known is None or any(getattr(known, name) != settings[name] for name in SETTINGS if name in settings):
            world.commit("account_put", **settings)
        return _shown(world.accounts[given.appid])

    @router.get("/sandbox/accounts")
    async def accounts() -> list[dict[str, Any]]:
        return [_shown(account) for account in world.accounts.values()]

    @router.patch("/sandbox/accounts/{appid}")
    async def patch(appid: str, changes: AccountChanges) -> dict[str, Any]:
        account_or_404(world, appid)
        given = changes.model_dump(exclude_unset=True)
        settings = {name: value for name, value in given.items() if name in SETTINGS and value is not None}
        switches = {name: value for name, value in given.items() if name not in SETTINGS}
        world.commit("account_patched", appid=appid, settings=settings, switches=switches)
        if switches.get("rotate_every"):
            plan(world, "rotation", appid, switches["rotate_every"])
        return _shown(world.accounts[appid])

    @router.post("/sandbox/accounts/{appid}/templates")
    async def template(appid: str, given: TemplateGiven) -> dict[str, Any]:
        account = account_or_404(world, appid)
        try:
            name = add_template(world, account, given.title, given.fields, {"id": given.id, "values": given.values})
        except Refused as refused:
            raise HTTPException(409, f"WeChat refuses with {refused.code}.") from None
        return {"template_id": name}

    @router.post("/sandbox/accounts/{appid}/tokens")
    async def spoil_token(appid: str, given: TokenSpoilt) -> dict[str, Any]:
        """Kill the token in use."""
        account = account_or_404(world, appid)
        (rotate if given.how == "rotate" else reject)(world, account)
        return _shown(account)

    @router.post("/sandbox/accounts/{appid}/verify")
    async def verify(appid: str) -> dict[str, Any]:
        """The GET with echostr that WeChat's console sends when the address is saved."""
        return {"ok": await pusher.verify(account_or_404(world, appid))}


def _shown(account: Account) -> dict[str, Any]:
    """Without secrets."""
    names = ("appid", "original_id", "webhook_url", "name", "mode", "profile", "switches", "rotations")
    return {name: getattr(account, name) for name in names} | {"templates": list(account.templates.values())}


def _add_mass_consent(router: APIRouter, world: World, pusher: Pusher) -> None:
    @router.post("/sandbox/accounts/{appid}/mass/{msg_id}")
    async def consent(appid: str, msg_id: str, given: Consent) -> dict[str, Any]:
        """The administrator answers the question whether to send to all (wechat-platform.md 322)."""
        account = account_or_404(world, appid)
        if not account.mass_jobs.get(msg_id, {}).get("waits"):
            raise HTTPException(409, "This mass send waits for nobody.")
        counts = mass.send_now(world, account, msg_id) if given.confirm else mass.fail(world, account, msg_id, "err(40001)")
        await tell_mass_end(world, pusher, account, msg_id, counts)
        return {"state": account.mass_jobs[msg_id]["state"]}


def _add_clock(router: APIRouter, world: World) -> None:
    def shown() -> dict[str, Any]:
        return {"now": iso(world.clock.now()), "offset": world.clock.offset}

    @router.get("/sandbox/clock")
    async def read() -> dict[str, Any]:
        return shown()

    @router.post("/sandbox/clock")
    async def advance(given: Advance) -> dict[str, Any]:
        try:
            world.clock.advance(given.advance)
        except ValueError as refused:
            raise HTTPException(422, str(refused)) from None
        world.wake()
        return shown()


def _add_observations(router: APIRouter, world: World, pusher: Pusher) -> None:
    @router.get("/sandbox/ledger")
    async def ledger(
        after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=100_000)] = 1_000, appid: str | None = None
    ) -> list[dict[str, Any]]:
        """Every message that was accepted, oldest first; `n` counts from 1 without gaps."""
        rows = world.ledger[after : after + limit]
        return [{**row, "at": iso(row["at"])} for row in rows if appid in (None, row["appid"])]

    @router.get("/sandbox/calls")
    async def calls(appid: str = "") -> dict[str, dict[str, int]]:
        """How often each API answered each errcode; callers without a valid token count under the empty appid."""
        found: dict[str, dict[str, int]] = {}
        for (api, code), times in world.calls.get(appid, {}).items():
            found.setdefault(api, {})[str(code)] = times
        return found

    @router.get("/sandbox/pushes")
    async def pushes(after: int = 0) -> list[dict[str, Any]]:
        """What became of the recent pushes, oldest first."""
        return [{**asdict(each), "at": iso(each.at)} for each in pusher.recent if each.n > after]

    @router.get("/sandbox/qrcodes")
    async def qrcodes(appid: str) -> list[dict[str, Any]]:
        now = world.clock.now()
        return [_code(each) for each in account_or_404(world, appid).tickets.values() if each.valid(now)]

    @router.get("/sandbox/menu")
    async def current_menu(appid: str) -> dict[str, Any]:
        return account_or_404(world, appid).menu or {"button": []}

    @router.get("/cgi-bin/showqrcode")
    async def picture(ticket: str = "") -> Response:
        image = qr.picture(world, ticket)
        return Response(image, media_type="image/png") if image else Response(status_code=404)

    @router.get("/")
    async def home() -> RedirectResponse:
        return RedirectResponse("/phones")


def _code(code: qr.Ticket) -> dict[str, Any]:
    until = None if code.until is None else iso(code.until)
    return {"ticket": code.ticket, "scene": code.scene, "permanent": code.until is None, "expires_at": until, "url": code.url}


def _add_faults(router: APIRouter, faults: Faults) -> None:
    @router.post("/sandbox/faults")
    async def add(given: FaultGiven) -> dict[str, Any]:
        faults.add(Fault(**given.model_dump()))
        return {"open": len(faults.open)}

    @router.get("/sandbox/faults")
    async def listed() -> list[dict[str, Any]]:
        return [asdict(fault) for fault in faults.open]

    @router.get("/sandbox/faults/applied")
    async def applied() -> dict[str, int]:
        """How many calls each named order has spoilt so far."""
        return dict(faults.applied)

    @router.delete("/sandbox/faults")
    async def clear(name: str | None = None) -> dict[str, Any]:
        """Every order, or those of one name."""
        faults.clear(name)
        return {"open": len(faults.open)}
