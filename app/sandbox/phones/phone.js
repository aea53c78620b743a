// Hides one phone: the chat of one person with the account, and everything that person can do with it.

import { entry } from "./entry.js";
import { attempt, avatar, el, get, icon, post, word } from "./page.js";
import { Foot } from "./foot.js";
import { Sheet } from "./sheet.js";
import { full, stamp } from "./times.js";

const GAP = 5 * 60000; // WeChat writes the time again after five quiet minutes
const KEPT = 400; // entries that stay on the page
const SOON = [80, 250]; // milliseconds after a deed: the answer is often there before the next beat
const NEAR = 80; // pixels from the end at which the reader counts as being there

export class Phone {
  /** `world`: {account(), menu(), now(), person(openid), close(openid), changed()}; what the page knows beyond one phone. */
  constructor(openid, world) {
    this.openid = openid;
    this.world = world;
    this.entries = [];
    this.following = world.person(openid)?.following ?? true;
    this.visible = true;
    this.asked = null;
    this.element = el("article", { class: "phone", "data-openid": openid });
    this.near = true; // whether the reader is at the end of the chat, which then stays in sight when the phone changes its size
    this.resized = new ResizeObserver(() => this.near && this.toEnd());
    this.sheet = new Sheet(this);
    this.foot = new Foot(this);
    this.build();
  }

  get person() {
    return this.world.person(this.openid) ?? { openid: this.openid, name: "?", hue: 0 };
  }

  /** Draw everything again, from what is known; after a change of language or account data. */
  build() {
    const name = this.person.name;
    this.badge = el("span", { class: "badge", hidden: true });
    this.title = el("h2", {});
    this.window = el("span", { class: "window quiet" });
    this.chat = el("div", { class: "chat", role: "log", tabindex: 0, onscroll: () => this.reachedEnd() });
    this.newer = el("button", { type: "button", class: "newer", hidden: true, onclick: () => this.toEnd() }, word("newer"), icon("down"));
    this.element.setAttribute("aria-label", word("phone_of", { name }));
    this.chat.setAttribute("aria-label", word("chat_of", { name, account: this.world.account().name }));
    this.element.replaceChildren(this.owner(name), el("div", { class: "screen" }, this.bar(), this.chat, this.newer, this.foot.element, this.sheet.element));
    this.resized.disconnect();
    this.resized.observe(this.chat);
    this.sheet.close();
    this.foot.build();
    this.drawn = null;
    this.typing = false;
    this.showTitle();
    this.add(this.entries, true);
  }

  owner(name) {
    const label = word("close_phone", { name });
    const close = el("button", { type: "button", class: "round", "aria-label": label, title: label, onclick: () => this.world.close(this.openid) }, icon("close"));
    return el("header", { class: "owner" }, avatar(this.person), el("span", { class: "owner-name" }, name), this.badge, this.window, close);
  }

  bar() {
    const open = () => this.sheet.profile();
    this.more = el("button", { type: "button", class: "plain", "aria-label": word("more"), title: word("more"), onclick: open }, icon("dots"));
    return el("div", { class: "bar" }, el("span", { class: "back" }, icon("back")), this.title, this.more);
  }

  showTitle() {
    this.title.textContent = this.typing ? word("typing") : this.world.account().name;
    this.title.classList.toggle("typing", this.typing);
  }

  /** Fetch what is new. Two requests never overlap: the second waits for the first. */
  async refresh() {
    if (this.asked) {
      await this.asked.catch(() => {});
      if (this.asked) return this.asked;
    }
    this.asked = this.fetch();
    try {
      return await this.asked;
    } finally {
      this.asked = null;
    }
  }

  async fetch() {
    const last = this.entries.at(-1)?.n ?? 0;
    const chat = await get(this.path("chat"), { after: last });
    this.take(chat);
  }

  take(chat) {
    if (chat.typing !== this.typing) {
      this.typing = chat.typing;
      this.showTitle();
    }
    if (chat.following !== this.following) {
      this.following = chat.following;
      this.foot.build();
    }
    this.showWindow(chat.allowance);
    const fresh = chat.entries.filter((each) => each.n > (this.entries.at(-1)?.n ?? 0));
    if (fresh.length) {
      this.entries = [...this.entries, ...fresh].slice(-KEPT);
      this.add(fresh, false);
    }
    this.markRead(fresh);
  }

  /** How many service messages the account may still send: what WeChat knows and tells nobody. */
  showWindow(allowance) {
    const name = this.person.name;
    const open = allowance?.left > 0 && allowance.until;
    const short = open ? word("allowance", { left: allowance.left }) : word("window_shut");
    this.window.hidden = !allowance || !this.following;
    if (this.window.textContent !== short) this.window.textContent = short;
    this.window.title = open ? word("allowance_until", { name, left: allowance.left, time: full(new Date(allowance.until)) }) : word("window_shut_long", { name });
  }

  add(fresh, jump) {
    const stay = !jump && !this.near && fresh.every((each) => each.side !== "person");
    for (const each of fresh) {
      const at = new Date(each.at);
      if (!this.drawn || at - this.drawn >= GAP) this.chat.append(el("time", { class: "stamp", datetime: each.at }, stamp(at, this.world.now())));
      this.drawn = at;
      this.chat.append(entry(each, this.person, (content, id) => this.act("tap", { content, id })));
    }
    while (this.chat.childElementCount > KEPT * 1.5) this.chat.firstElementChild.remove();
    if (stay) this.newer.hidden = false;
    else this.toEnd();
  }

  /** Write the time stamps again, for they depend on today. */
  restamp() {
    for (const each of this.chat.querySelectorAll("time")) each.textContent = stamp(new Date(each.dateTime), this.world.now());
  }

  markRead(fresh) {
    const looking = this.visible && !document.hidden;
    const unread = this.person.unread > 0 || fresh.some((each) => each.side !== "person");
    if (!looking || !unread) return;
    post(this.path("read")).then(() => this.world.changed(), () => {});
  }

  showUnread(count) {
    const text = count > 99 ? "99+" : String(count);
    this.badge.hidden = !count;
    if (this.badge.textContent !== text) this.badge.textContent = text;
    this.badge.setAttribute("aria-label", word("unread", { count }));
  }

  atEnd() {
    return this.chat.scrollHeight - this.chat.scrollTop - this.chat.clientHeight < NEAR;
  }

  reachedEnd() {
    this.near = this.atEnd();
    if (this.near) this.newer.hidden = true;
  }

  toEnd() {
    this.near = true;
    this.chat.scrollTop = this.chat.scrollHeight;
    this.newer.hidden = true;
  }

  path(last) {
    return `/sandbox/people/${encodeURIComponent(this.openid)}/${last}`;
  }

  /** Do something as this person; true when the sandbox took it. The account's answer may take WeChat's five seconds, three times. */
  async act(what, body = {}) {
    const done = await attempt(async () => {
      await post(this.path(what), { ...body, wait: false });
      return true;
    });
    await this.refresh().catch(() => {});
    for (const later of SOON) setTimeout(() => this.refresh().catch(() => {}), later);
    this.world.changed();
    return done === true;
  }
}

