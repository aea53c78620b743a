// Hides what each kind of entry of a chat looks like.

import { avatar, el, icon, language, word } from "./page.js";
import { pieces, webAddress } from "./text.js";

/** The element of one entry. `tap(content, id)` is what a tap on a choice does. */
export function entry(each, person, tap) {
  if (each.side === "system" || each.kind === "fault") return centred(systemLine(each), each.kind);
  const draw = DRAWN[each.kind] ?? bubble;
  const face = each.side === "person" ? avatar(person) : accountAvatar();
  const body = el("div", { class: "body" }, draw(each, tap), each.mass ? el("span", { class: "mass" }, word("mass")) : null);
  return el("div", { class: `entry ${each.side === "person" ? "mine" : "theirs"} ${each.card ? "wide" : ""}` }, face, body);
}

// The sandbox writes its own lines in Chinese, as WeChat's client in China does; in English they are said by their kind.
function systemLine(each) {
  if (each.kind === "menu_event") return word("pressed", { name: each.text });
  const known = SYSTEM[each.kind];
  return (language === "zh" && each.text) || !known ? each.text || word("system_unknown") : word(known);
}

const SYSTEM = { fault: "fault", followed: "followed", unfollowed: "unfollowed", scanned: "scanned" };

export function accountAvatar() {
  return el("img", { class: "avatar", src: "/phones/icon.svg", alt: "", width: 40, height: 40 });
}

/** A grey line in the middle of the chat. */
export function centred(text, sort) {
  return el("p", { class: `centred ${sort}` }, ...inline(text));
}

const DRAWN = { notice: card, news: card, picture, video: picture, voice, location: place };

function bubble(each, tap) {
  return el("div", { class: "bubble" }, ...inline(each.text ?? "", tap));
}

function inline(text, tap) {
  return pieces(text).map((piece) => {
    if (piece.address) return link(piece.address, piece.text);
    if (piece.content && tap) return choice(piece, tap);
    return document.createTextNode(piece.text);
  });
}

function link(address, ...shown) {
  return el("a", { class: "link", href: address, target: "_blank", rel: "noopener noreferrer", title: word("opens_new_tab") }, ...shown);
}

// A span and not a button: a long choice must wrap with the words around it.
function choice(piece, tap) {
  const go = (event) => {
    event.preventDefault();
    tap(piece.content, piece.id);
  };
  const onkeydown = (event) => (event.key === "Enter" || event.key === " ") && !event.repeat && go(event);
  return el("span", { class: "tap", role: "button", tabindex: 0, onclick: go, onkeydown }, piece.text);
}

function card(each, tap) {
  if (!each.card) return bubble(each, tap);
  const address = webAddress(each.card.url ?? "");
  const parts = [el("h3", {}, each.card.title ?? "")];
  const fields = (each.card.fields ?? []).filter(([, value]) => value);
  for (const [, value] of fields.filter(([label]) => !label)) parts.push(el("p", { class: "lead" }, String(value)));
  if (fields.some(([label]) => label)) parts.push(el("dl", {}, ...fields.filter(([label]) => label).flatMap(row)));
  if (address) parts.push(el("span", { class: "details" }, word("details"), icon("next")));
  return address ? link(address, el("div", { class: "card" }, ...parts)) : el("div", { class: "card" }, ...parts);
}

function row([label, value]) {
  return [el("dt", {}, String(label)), el("dd", {}, String(value))];
}

function picture(each) {
  return el("div", { class: "picture", role: "img", "aria-label": word(each.kind === "video" ? "video" : "picture") }, icon("landscape"));
}

function voice(each) {
  const seconds = 3 + (each.n % 20);
  return el("div", { class: "bubble voice", "aria-label": word("voice_length", { seconds }) }, icon("sound"), `${seconds}″`);
}

function place(each) {
  return el("div", { class: "place", role: "img", "aria-label": word("location") },
    el("span", { class: "place-name" }, plain(each.text) || word("location")), el("span", { class: "map" }, icon("pin")));
}

// "[图片]" and its like say only what the drawing says already.
const plain = (text) => (/^\[.*\]$/.test(text ?? "") ? "" : text ?? "");
