// Hides the foot of a phone: the account's menu, the input box, the panel behind "+", or the way in for somebody who does not follow.

import { el, icon, word } from "./page.js";
import { webAddress } from "./text.js";

const SENDABLE = ["picture", "voice", "location"];

export class Foot {
  constructor(phone) {
    this.phone = phone;
    this.element = el("div", { class: "foot" });
    this.typed = null; // whether the keyboard is out; null until the person has chosen
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.fold());
    this.element.addEventListener("focusout", (event) => {
      const bar = this.element.querySelector(".menubar");
      if (bar && event.relatedTarget && !bar.contains(event.relatedTarget)) this.fold();
    });
  }

  get menu() {
    return this.phone.world.menu()?.button ?? [];
  }

  build() {
    this.draft = this.element.querySelector("textarea")?.value ?? this.draft ?? "";
    if (!this.phone.following) this.element.replaceChildren(this.entrance());
    else if (this.menu.length && !this.typed) this.element.replaceChildren(this.menuBar());
    else this.element.replaceChildren(...this.keyboard());
  }

  entrance() {
    const { phone } = this;
    return el("div", { class: "entrance" },
      el("p", {}, word("follow_hint", { name: phone.person.name })),
      el("div", { class: "pair" },
        el("button", { type: "button", class: "primary", onclick: () => phone.act("follow") }, word("follow")),
        el("button", { type: "button", class: "second", onclick: () => phone.sheet.scan() }, icon("scan"), word("scan"))));
  }

  switch(typed) {
    this.typed = typed;
    this.build();
    this.element.querySelector(typed ? "textarea" : ".toggle").focus();
  }

  toggle(typed) {
    const label = word(typed ? "keyboard" : "menu");
    return el("button", { type: "button", class: "toggle plain", "aria-label": label, title: label, onclick: () => this.switch(typed) }, icon(typed ? "keyboard" : "menu"));
  }

  menuBar() {
    return el("div", { class: "menubar" }, this.toggle(true), ...this.menu.map((each) => (each.sub_button?.length ? this.subMenu(each) : this.menuItem(each))));
  }

  menuItem(each) {
    return el("div", { class: "slot" }, el("button", { type: "button", class: "item", onclick: () => this.press(each) }, each.name));
  }

  subMenu(each) {
    const list = el("div", { class: "popup", hidden: true }, ...each.sub_button.map((one) =>
      el("button", { type: "button", class: "item", onclick: () => this.press(one) }, one.name)));
    const open = (event) => {
      const shut = list.hidden;
      this.fold();
      list.hidden = !shut;
      event.currentTarget.setAttribute("aria-expanded", String(shut));
    };
    return el("div", { class: "slot" }, list, el("button", { type: "button", class: "item", "aria-expanded": "false", onclick: open }, icon("lines"), each.name));
  }

  fold() {
    for (const list of this.element.querySelectorAll(".popup")) list.hidden = true;
    for (const each of this.element.querySelectorAll("[aria-expanded]")) each.setAttribute("aria-expanded", "false");
    const panel = this.element.querySelector(".panel");
    if (panel) panel.hidden = true;
  }

  press(each) {
    this.fold();
    const address = each.type === "view" ? webAddress(each.url ?? "") : null;
    if (address) window.open(address, "_blank", "noopener,noreferrer");
    return this.phone.act("press", { key: each.key ?? each.url ?? each.pagepath ?? "" });
  }

  keyboard() {
    const name = this.phone.person.name;
    const box = el("textarea", { rows: 1, maxlength: 4000, enterkeyhint: "send", "aria-label": `${word("message")} (${name})`, oninput: () => this.fit(box), onkeydown: (event) => this.key(event) });
    box.value = this.draft;
    const send = el("button", { type: "button", class: "primary send", onclick: () => this.send() }, word("send"));
    const panel = this.panel();
    const plus = el("button", { type: "button", class: "plain plus", "aria-label": word("add"), title: word("add"), "aria-expanded": "false", onclick: () => {
      panel.hidden = !panel.hidden;
      plus.setAttribute("aria-expanded", String(!panel.hidden));
      this.phone.toEnd();
    } }, icon("plus"));
    const bar = el("div", { class: "typebar" }, this.menu.length ? this.toggle(false) : null, box, plus, send);
    queueMicrotask(() => this.fit(box));
    return [bar, panel];
  }

  panel() {
    const tile = (name, onclick) => el("button", { type: "button", class: "tile", onclick }, el("span", { class: "tile-face" }, icon(name)), word(name));
    const send = (kind) => () => {
      this.fold();
      return this.phone.act("send", { kind });
    };
    return el("div", { class: "panel", hidden: true }, ...SENDABLE.map((kind) => tile(kind, send(kind))), tile("scan", () => this.phone.sheet.scan()));
  }

  fit(box) {
    box.closest(".typebar")?.classList.toggle("full", box.value.trim() !== "");
    box.style.setProperty("height", "auto");
    box.style.setProperty("height", `${Math.min(box.scrollHeight + 2, 120)}px`);
  }

  // An input method ends its word with Enter as well: that Enter sends nothing.
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.send();
  }

  async send() {
    const box = this.element.querySelector("textarea");
    const text = box.value;
    if (!text.trim()) return;
    box.value = "";
    this.fit(box);
    box.focus();
    const taken = await this.phone.act("say", { text });
    const now = this.element.querySelector("textarea");
    if (!taken && now && !now.value) {
      now.value = text;
      this.fit(now);
    }
  }
}
