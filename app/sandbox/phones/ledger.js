// Hides the drawer that shows what WeChat accepted, newest first.

import { el, get, word } from "./page.js";
import { pieces } from "./text.js";
import { full } from "./times.js";

const SHOWN = 100;
const PAGE = 500;

export class Ledger {
  constructor(element, world) {
    this.element = element;
    this.world = world;
    this.list = element.querySelector("ol");
    this.clear();
  }

  get open() {
    return !this.element.hidden;
  }

  /** Forget everything; after a change of account. */
  clear() {
    this.rows = [];
    this.last = 0;
    this.list.replaceChildren();
  }

  /** Fetch what is new, page by page, and show the newest of this account. */
  async refresh() {
    let fresh;
    do {
      fresh = await get("/sandbox/ledger", { after: this.last, limit: PAGE });
      this.last = fresh.at(-1)?.n ?? this.last;
      this.show(fresh.filter((row) => !row.appid || row.appid === this.world.account().appid));
    } while (fresh.length === PAGE);
    this.element.querySelector(".none").hidden = this.rows.length > 0;
  }

  show(fresh) {
    this.rows = [...this.rows, ...fresh].slice(-SHOWN);
    this.list.prepend(...fresh.slice(-SHOWN).reverse().map((row) => this.line(row)));
    while (this.list.childElementCount > SHOWN) this.list.lastElementChild.remove();
  }

  /** Draw everything again, after a change of language. */
  build() {
    this.list.replaceChildren(...[...this.rows].reverse().map((row) => this.line(row)));
  }

  line(row) {
    const name = this.world.person(row.openid)?.name ?? row.openid ?? "";
    const told = Object.entries(row).filter(([, value]) => value !== null && value !== "" && value !== undefined);
    return el("li", {},
      el("div", { class: "ledger-head" }, el("span", {}, `#${row.n}`), el("strong", {}, name), row.at ? el("time", { datetime: row.at }, full(new Date(row.at))) : null),
      el("p", { class: "ledger-text" }, pieces(row.text ?? "").map((piece) => piece.text).join("")),
      el("details", {}, el("summary", {}, `${row.api ?? ""} · ${word("raw")}`),
        el("dl", {}, ...told.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, typeof value === "object" ? JSON.stringify(value, null, 1) : String(value))]))));
  }
}
