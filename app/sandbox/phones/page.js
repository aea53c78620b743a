// Hides how elements are made, how the sandbox is asked, and in which language the page speaks.

let table = {};
export let language = "zh";

/** Load the words of `zh` or `en` and put them into every element that names one. */
export async function speak(chosen) {
  table = await get(`/phones/words/${chosen}`);
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  document.title = word("page_title");
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = word(each.dataset.word);
  for (const each of document.querySelectorAll("[data-label]")) {
    each.setAttribute("aria-label", word(each.dataset.label));
    each.title = word(each.dataset.label);
  }
  for (const each of document.querySelectorAll("[data-hint]")) each.placeholder = word(each.dataset.hint);
}

/** The sentence of a key, its {gaps} filled. */
export function word(key, gaps = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (whole, gap) => (gap in gaps ? String(gaps[gap]) : whole));
}

/** An element with attributes, listeners (onclick: function) and children; strings become text, never markup. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** One of the drawings at the end of index.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A person's square: the last character of a Chinese name, the first of another. */
export function avatar(person) {
  const characters = [...person.name.trim()];
  const chinese = /\p{Script=Han}$/u.test(person.name.trim());
  const made = el("span", { class: "avatar", "aria-hidden": "true" }, (chinese ? characters.at(-1) : characters[0]?.toUpperCase()) ?? "?");
  made.style.setProperty("--hue", String(Number(person.hue) || 0));
  return made;
}

export async function get(path, query = {}) {
  const filled = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  return answered(await fetch(filled.size ? `${path}?${filled}` : path, { cache: "no-store" }));
}

export async function post(path, body = {}) {
  return answered(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
}

async function answered(response) {
  const text = await response.text();
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    content = null;
  }
  if (response.ok) return content;
  const reason = typeof content?.detail === "string" ? content.detail : `${response.status} ${response.statusText}`;
  throw Object.assign(new Error(reason), { status: response.status });
}

/** One line that appears at the foot of the page for a few seconds. */
export function tell(sentence) {
  const toast = document.getElementById("toast");
  toast.textContent = sentence;
  toast.hidden = false;
  clearTimeout(toast.until);
  toast.until = setTimeout(() => { toast.hidden = true; }, 5000);
}

/** Run what a person asked for; a refusal becomes a line they can read. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    tell(word("failed", { reason: error.message }));
    return undefined;
  }
}
