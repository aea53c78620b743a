// Hides the page around the phones: which people are on it, the account, the clock, the drawer, and how often the sandbox is asked.

import { Ledger } from "./ledger.js";
import { attempt, avatar, el, get, icon, language, post, speak, tell, word } from "./page.js";
import { Phone } from "./phone.js";
import { briefly, full, span, untilEvening } from "./times.js";

const BEAT = 700; // milliseconds between two looks
const HIDDEN_BEAT = 5000;
const SLOWEST = 10000;
const STORE = "tongban.phones";
const JUMPS = [["plus_minute", () => 60], ["plus_hour", () => 3600], ["to_evening", () => untilEvening(now())], ["plus_day", () => 86400], ["plus_week", () => 604800]];
const UNITS = { minutes: 60, hours: 3600, days: 86400 };

const at = (id) => document.getElementById(id);
const phones = new Map(); // openid → Phone, in the order on the stage
const rows = new Map(); // openid → the button in the list
let accounts = [];
let account = { appid: "", name: "" };
let menu = { button: [] };
let people = new Map();
let ledger = null;
let ahead = 0; // milliseconds from this machine's clock to the sandbox's
let today = "";
let beats = 0;
let failures = 0;
let timer = 0;

const now = () => new Date(Date.now() + ahead);

const world = {
  account: () => account,
  menu: () => menu,
  now,
  person: (openid) => people.get(openid),
  close: (openid) => remove(openid),
  changed: () => refreshPeople().catch(() => {}),
};

const seen = new IntersectionObserver((changes) => {
  for (const each of changes) {
    const phone = phones.get(each.target.dataset.openid);
    if (phone) phone.visible = each.isIntersecting;
  }
  showTabs();
}, { root: at("stage"), threshold: 0.55 });

// --- which phones stand on the stage, and how that is remembered -------------------------------------------------------------------

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}

function remember(change) {
  try {
    localStorage.setItem(STORE, JSON.stringify({ ...remembered(), ...change }));
  } catch {
    // a browser that stores nothing still shows everything
  }
}

function wish() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const query = new URLSearchParams(location.search);
  const asked = (key) => query.get(key) ?? hash.get(key);
  const list = (key) => asked(key)?.split(/[,，]/).map((each) => each.trim()).filter(Boolean);
  return { people: list("people"), names: list("names"), appid: asked("appid"), language: asked("lang") };
}

function keepAddress() {
  const shown = [...phones.keys()];
  const hash = new URLSearchParams();
  if (accounts.length > 1) hash.set("appid", account.appid);
  hash.set("people", shown.join(","));
  history.replaceState(null, "", `${location.pathname}#${hash.toString().replaceAll("%2C", ",")}`);
  remember({ appid: account.appid, [`people:${account.appid}`]: shown });
}

function firstPhones(wanted) {
  if (wanted.people || wanted.names) {
    const named = (name) => [...people.values()].find((each) => each.name === name)?.openid;
    const found = [...(wanted.people ?? []).filter((each) => people.has(each)), ...(wanted.names ?? []).map(named)];
    const missing = [...(wanted.people ?? []).filter((each) => !people.has(each)), ...(wanted.names ?? []).filter((each) => !named(each))];
    if (missing.length) tell(word("not_found", { names: missing.join("、") }));
    return found.filter(Boolean);
  }
  const known = (remembered()[`people:${account.appid}`] ?? []).filter((each) => people.has(each));
  return known.length ? known : sorted().slice(0, 2).map((each) => each.openid);
}

function add(openid) {
  if (phones.has(openid) || !people.has(openid)) return;
  const phone = new Phone(openid, world);
  phones.set(openid, phone);
  at("stage").append(phone.element);
  seen.observe(phone.element);
  phone.refresh().then(() => phone.toEnd(), () => {});
}

function remove(openid, focus = true) {
  const phone = phones.get(openid);
  if (!phone) return;
  seen.unobserve(phone.element);
  phone.element.remove();
  phones.delete(openid);
  stageChanged();
  if (focus) (rows.get(openid)?.offsetParent ? rows.get(openid) : at("people-button")).focus();
}

function stageChanged() {
  at("empty").hidden = phones.size > 0;
  keepAddress();
  showPeople();
  showTabs();
}

function show(openid) {
  const fresh = !phones.has(openid);
  add(openid);
  if (fresh) stageChanged();
  foldPeople();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  phones.get(openid)?.element.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "nearest", inline: "center" });
}

// --- people ------------------------------------------------------------------------------------------------------------------------

function sorted() {
  return [...people.values()].sort((one, other) => (other.last_at ?? "").localeCompare(one.last_at ?? "") || one.name.localeCompare(other.name, "zh-CN"));
}

async function refreshPeople() {
  const appid = account.appid;
  const list = await get("/sandbox/people", { appid });
  if (appid !== account.appid) return;
  people = new Map(list.map((each) => [each.openid, each]));
  showPeople();
  showTabs();
}

function showPeople() {
  const wanted = at("search").value.trim().toLowerCase();
  const shown = sorted().filter((each) => each.name.toLowerCase().includes(wanted) || each.openid.toLowerCase() === wanted);
  const list = at("people-list");
  const items = shown.map((each) => personRow(each).parentElement);
  const same = items.length === list.children.length && items.every((each, place) => each === list.children[place]);
  const busy = list.contains(document.activeElement) && items.length === list.children.length; // a list does not jump under the fingers
  if (!same && !busy) list.replaceChildren(...items);
  at("people-none").hidden = shown.length > 0;
  at("people-none").textContent = word(people.size ? "no_match" : "nobody");
}

function personRow(person) {
  let row = rows.get(person.openid);
  if (!row) {
    row = el("button", { type: "button", class: "person", onclick: () => show(person.openid) },
      avatar(person), el("span", { class: "person-name" }, person.name), el("span", { class: "person-time" }), el("span", { class: "person-last" }), el("span", { class: "badge" }));
    rows.set(person.openid, row);
    el("li", {}, row);
  }
  const [, , time, last, badge] = row.children;
  put(time, person.last_at ? briefly(new Date(person.last_at), now()) : "");
  put(last, person.following ? firstLine(person.last_text) : word("not_following"));
  put(badge, person.unread > 99 ? "99+" : String(person.unread));
  badge.hidden = !person.unread;
  row.setAttribute("aria-pressed", String(phones.has(person.openid)));
  row.setAttribute("aria-label", [word("show_phone", { name: person.name }), person.unread ? word("unread", { count: person.unread }) : ""].filter(Boolean).join(" · "));
  phones.get(person.openid)?.showUnread(person.unread);
  return row;
}

const firstLine = (text) => (text ?? "").replace(/<a\s[^<>]*>([^<]*)<\/a>/gi, "$1").split("\n").find((each) => each.trim()) ?? "";

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function foldPeople() {
  document.body.classList.remove("choosing");
  at("people-button").setAttribute("aria-expanded", "false");
}

// --- one phone at a time on a narrow screen ------------------------------------------------------------------------------------------

// Made again only when something on them changed: a finger may be on one.
function showTabs() {
  const tabs = at("tabs");
  const current = [...phones.values()].find((each) => each.visible)?.openid;
  const shown = [...phones.keys()].map((openid) => people.get(openid) ?? { openid, name: "?", hue: 0, unread: 0 });
  const state = JSON.stringify([language, current, ...shown.map((each) => [each.openid, each.name, each.unread])]);
  if (tabs.dataset.state === state) return;
  const focused = document.activeElement?.dataset?.tab;
  tabs.dataset.state = state;
  tabs.replaceChildren(...shown.flatMap((each) => tab(each, each.openid === current)));
  if (focused) tabs.querySelector(`[data-tab="${CSS.escape(focused)}"]`)?.focus();
  tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function tab(person, current) {
  const { openid, name, unread } = person;
  const dot = unread && !current ? el("span", { class: "dot", role: "img", "aria-label": word("unread", { count: unread }) }) : null;
  const open = el("button", { type: "button", class: "tab", "data-tab": openid, "aria-current": current && "true", onclick: () => show(openid) }, avatar(person), el("span", {}, name), dot);
  const label = word("close_phone", { name });
  const close = el("button", { type: "button", class: "round", "aria-label": label, title: label, onclick: () => remove(openid) }, icon("close"));
  return current ? [open, close] : [open];
}

// --- account, clock, drawer ------------------------------------------------------------------------------------------------------------

async function choose(appid, wanted) {
  account = accounts.find((each) => each.appid === appid) ?? accounts[0] ?? account;
  at("account").value = account.appid;
  for (const openid of [...phones.keys()]) remove(openid, false);
  rows.clear();
  ledger.clear();
  [menu] = await Promise.all([get("/sandbox/menu", { appid: account.appid }), refreshPeople()]);
  firstPhones(wanted).forEach(add);
  stageChanged();
}

function takeClock(clock) {
  ahead = new Date(clock.now).getTime() - Date.now();
  put(at("time"), full(now()));
  put(at("ahead"), clock.offset >= 60 ? word("ahead", { span: span(clock.offset) }) : word("on_time"));
  const day = full(now()).slice(0, -5);
  if (day !== today) for (const phone of phones.values()) phone.restamp();
  today = day;
}

async function jump(seconds) {
  const buttons = [...at("jumps").children];
  const pressed = document.activeElement;
  for (const each of buttons) each.setAttribute("aria-disabled", "true");
  await attempt(async () => {
    await post("/sandbox/clock", { advance: seconds });
    takeClock(await get("/sandbox/clock"));
  });
  for (const each of buttons) each.removeAttribute("aria-disabled");
  pressed?.focus();
  look();
}

function foldClock(open) {
  document.body.classList.toggle("timing", open);
  at("time-button").setAttribute("aria-expanded", String(open));
}

function buildJumps() {
  const press = (seconds) => (event) => event.currentTarget.getAttribute("aria-disabled") !== "true" && jump(seconds());
  const buttons = JUMPS.map(([key, seconds]) => el("button", { type: "button", "data-jump": key, onclick: press(seconds) }, word(key)));
  at("jumps").replaceChildren(...buttons, el("button", { type: "button", "data-jump": "custom", onclick: () => at("custom").showModal() }, word("custom")));
}

// --- the beat --------------------------------------------------------------------------------------------------------------------------

async function look() {
  clearTimeout(timer);
  try {
    await once();
    failures = 0;
  } catch {
    failures += 1;
  }
  at("offline").hidden = failures < 2;
  clearTimeout(timer);
  timer = setTimeout(look, document.hidden ? HIDDEN_BEAT : Math.min(BEAT * 2 ** failures, SLOWEST));
}

async function once() {
  const turn = beats++;
  if (turn % 3 === 0) takeClock(await get("/sandbox/clock"));
  if (turn % 3 === 0) await refreshPeople();
  if (turn % 30 === 29) await refreshMenu();
  if (ledger.open) await ledger.refresh();
  const due = [...phones.values()].filter((each) => each.visible || turn % 4 === 0);
  const looks = await Promise.allSettled(due.map((each) => each.refresh()));
  looks.forEach((each, place) => each.status === "rejected" && lost(due[place], each.reason));
}

function lost(phone, reason) {
  if (reason.status !== 404) throw reason;
  tell(word("gone", { name: phone.person.name }));
  remove(phone.openid, false);
}

async function refreshMenu() {
  const fresh = await get("/sandbox/menu", { appid: account.appid });
  if (JSON.stringify(fresh) === JSON.stringify(menu)) return;
  menu = fresh;
  for (const phone of phones.values()) phone.foot.build();
}

// --- start -----------------------------------------------------------------------------------------------------------------------------

function buildAccounts() {
  document.body.classList.toggle("one-account", accounts.length < 2);
  at("account").replaceChildren(...accounts.map((each) => el("option", { value: each.appid }, each.name)));
}

async function setLanguage(chosen) {
  await speak(chosen);
  remember({ language: chosen });
  at("language").lang = chosen === "zh" ? "en" : "zh-CN";
  buildJumps();
}

function listen() {
  at("account").addEventListener("change", () => attempt(() => choose(at("account").value, {})));
  at("search").addEventListener("input", showPeople);
  at("language").addEventListener("click", () => attempt(async () => {
    await setLanguage(language === "zh" ? "en" : "zh");
    for (const phone of phones.values()) phone.build();
    ledger.build();
    showPeople();
    takeClock(await get("/sandbox/clock"));
  }));
  at("people-button").addEventListener("click", (event) => {
    const open = document.body.classList.toggle("choosing");
    event.currentTarget.setAttribute("aria-expanded", String(open));
    if (open) at("search").focus();
  });
  at("time-button").addEventListener("click", () => foldClock(!document.body.classList.contains("timing")));
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".clock, dialog")) foldClock(false);
    if (!event.target.closest("#people, #people-button")) foldPeople();
  });
  at("ledger-button").addEventListener("click", () => openLedger(!ledger.open));
  at("ledger-close").addEventListener("click", () => openLedger(false));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    foldClock(false);
    foldPeople();
  });
  document.addEventListener("visibilitychange", () => !document.hidden && look());
  listenToForms();
}

function openLedger(open) {
  at("ledger").hidden = !open;
  at("ledger-button").setAttribute("aria-expanded", String(open));
  (open ? at("ledger-close") : at("ledger-button")).focus();
  if (open) attempt(() => ledger.refresh());
}

function listenToForms() {
  for (const each of document.querySelectorAll("dialog [data-cancel]")) each.addEventListener("click", () => each.closest("dialog").close());
  for (const each of document.querySelectorAll("[data-new-person]")) each.addEventListener("click", () => at("new-person").showModal());
  at("new-person").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(createPerson);
  });
  at("custom").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    at("custom").close();
    jump(Math.round(at("amount").valueAsNumber * UNITS[at("unit").value]));
  });
}

async function createPerson() {
  const name = at("new-name").value.trim();
  if (!name) return;
  const person = await post("/sandbox/people", { appid: account.appid, name });
  at("new-person").close();
  at("new-name").value = "";
  await refreshPeople();
  show(person.openid);
}

// The demo may open the page before it has told the sandbox of its account.
async function firstAccount() {
  const empty = at("empty");
  accounts = await get("/sandbox/accounts");
  while (!accounts.length) {
    empty.textContent = word("no_account");
    empty.hidden = false;
    await new Promise((resolve) => { setTimeout(resolve, BEAT * 2); });
    accounts = await get("/sandbox/accounts");
  }
  empty.textContent = word("empty_stage");
  buildAccounts();
}

async function start() {
  const wanted = wish();
  const spoken = [wanted.language, remembered().language].find((each) => each === "zh" || each === "en");
  ledger = new Ledger(at("ledger"), world);
  const [clock] = await Promise.all([get("/sandbox/clock"), setLanguage(spoken ?? (navigator.languages.some((each) => each.startsWith("zh")) ? "zh" : "en"))]);
  for (const each of document.querySelectorAll("[data-icon]")) each.prepend(icon(each.dataset.icon));
  listen();
  takeClock(clock);
  await firstAccount();
  await choose(wanted.appid ?? remembered().appid, wanted);
  await look();
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  tell(word("failed", { reason: error.message }));
  setTimeout(() => location.reload(), 5000);
});
