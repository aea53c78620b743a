"""Hides what happens when a planned moment comes: a receipt leaves, a mass send goes out, the administrator stayed silent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.sandbox import mass
from app.sandbox.actions import receipt
from app.sandbox.agenda import plan
from app.sandbox.journal import Event
from app.sandbox.pushes import Pusher
from app.sandbox.tokens import rotate
from app.sandbox.world import Account, World


def jobs(world: World, pusher: Pusher) -> dict[str, Callable[[Event], Awaitable[object]]]:
    """What the agenda may run, by name."""

    async def notice_receipt(event: Event) -> None:
        """TEMPLATESENDJOBFINISH carries the number of the answer in MsgID, capital D (wechat-platform.md 130, 249)."""
        fields = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": event["msgid"], "Status": event["status"]}
        account = world.accounts[event["appid"]]
        copies = account.switches.get("receipt_copies")
        push = receipt(world, account, event["o"], fields)
        await asyncio.gather(*(pusher.deliver(push) for _ in range(1 if copies is None else int(copies))))

    async def rotation(event: Event) -> None:
        """Another holder of the secret comes again and again, until the switch is turned off."""
        account = world.accounts[event["appid"]]
        if account.switches.get("rotate_every"):
            rotate(world, account)
            plan(world, "rotation", account.appid, float(account.switches["rotate_every"]))

    async def mass_goes_out(event: Event) -> None:
        account = world.accounts[event["appid"]]
        if account.mass_jobs[event["mass"]]["state"] == "SENDING":
            await tell_mass_end(world, pusher, account, event["mass"], mass.send_now(world, account, event["mass"]))

    async def mass_was_not_confirmed(event: Event) -> None:
        account = world.accounts[event["appid"]]
        if account.mass_jobs[event["mass"]]["waits"]:
            await tell_mass_end(world, pusher, account, event["mass"], mass.fail(world, account, event["mass"], "err(40002)"))

    return {"receipt": notice_receipt, "rotation": rotation, "mass": mass_goes_out, "mass_silence": mass_was_not_confirmed}


async def tell_mass_end(world: World, pusher: Pusher, account: Account, msg_id: str, counts: dict[str, Any]) -> None:
    """Push MASSSENDJOBFINISH; it comes from nobody in particular (wechat-platform.md 131)."""
    fields = {
        "Event": "MASSSENDJOBFINISH",
        "MsgID": int(msg_id),
        **counts,
        "CopyrightCheckResult": {"Count": 0, "ResultList": "", "CheckState": 0},
        "ArticleUrlResult": {"Count": 0, "ResultList": ""},
    }
    await pusher.deliver(receipt(world, account, f"o{account.original_id}"[:28].ljust(28, "_"), fields))
