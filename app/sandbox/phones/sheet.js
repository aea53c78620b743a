// Hides what slides over a phone's chat: the scanner with the account's QR codes, and the account's page with the way to leave.

import { accountAvatar } from "./entry.js";
import { attempt, el, get, icon, word } from "./page.js";
import { full } from "./times.js";

export class Sheet {
  constructor(phone) {
    this.phone = phone;
    this.element = el("div", { class: "sheet", role: "dialog", tabindex: -1, hidden: true });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  open(title, ...content) {
    if (this.element.hidden) this.from = document.activeElement;
    const back = el("button", { type: "button", class: "plain", "aria-label": word("back"), title: word("back"), onclick: () => this.close() }, icon("back"));
    this.element.setAttribute("aria-label", title);
    this.element.replaceChildren(el("div", { class: "bar" }, back, el("h2", {}, title), el("span", {})), el("div", { class: "sheet-body" }, ...content));
    this.element.hidden = false;
    this.under(true);
    back.focus();
  }

  close() {
    if (this.element.hidden) return;
    this.element.hidden = true;
    this.under(false);
    if (this.from?.isConnected) this.from.focus();
  }

  // What the sheet covers cannot be reached with the keyboard either.
  under(covered) {
    for (const each of this.element.parentElement?.children ?? []) if (each !== this.element) each.inert = covered;
  }

  async done(what, body) {
    this.close();
    await this.phone.act(what, body);
  }

  profile() {
    const { phone } = this;
    const account = phone.world.account();
    this.open(word("profile"),
      el("div", { class: "profile" }, accountAvatar(), el("div", {}, el("strong", {}, account.name), el("span", { class: "quiet" }, account.appid))),
      el("button", { type: "button", class: "second", onclick: () => this.scan() }, icon("scan"), word("scan")),
      ...(phone.following
        ? [el("button", { type: "button", class: "danger", onclick: () => this.done("unfollow") }, word("leave")), el("p", { class: "quiet" }, word("profile_hint", { name: phone.person.name }))]
        : [el("button", { type: "button", class: "primary", onclick: () => this.done("follow") }, word("follow"))]));
  }

  async scan() {
    const box = el("input", { type: "text", maxlength: 64, autocomplete: "off", "aria-label": word("scan_code"), placeholder: word("scan_code") });
    const onsubmit = (event) => {
      event.preventDefault();
      if (box.value.trim()) this.done("scan", { scene: box.value.trim() });
    };
    const codes = el("div", { class: "codes" });
    this.open(word("scan"), el("form", { class: "code-form", onsubmit }, box, el("button", { class: "primary" }, word("scan_go"))), el("p", { class: "quiet" }, word("scan_hint")), codes);
    const known = await attempt(() => get("/sandbox/qrcodes", { appid: this.phone.world.account().appid }));
    if (known) codes.replaceChildren(...(known.length ? known.map((each) => this.code(each)) : [el("p", { class: "quiet" }, word("no_codes"))]));
  }

  code(each) {
    const expired = each.expires_at && new Date(each.expires_at) <= this.phone.world.now();
    const until = each.permanent || !each.expires_at ? word("code_permanent") : expired ? word("code_expired") : word("code_until", { time: full(new Date(each.expires_at)) });
    const image = el("img", { src: `/cgi-bin/showqrcode?ticket=${encodeURIComponent(each.ticket)}`, alt: "", width: 112, height: 112, loading: "lazy" });
    return el("button", { type: "button", class: `code ${expired ? "expired" : ""}`, onclick: () => this.done("scan", { ticket: each.ticket }) },
      image, el("span", { class: "scene" }, String(each.scene)), el("span", { class: "quiet" }, until));
  }
}
