// Hides how WeChat reads the text of a message: which anchors become something to tap, and that all the rest stays text.

const ANCHOR = /<a\s([^<>]*)>([^<]*)<\/a>/gi;
const HREF = /(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)')/i;
const TAP = /^weixin:\/\/bizmsgmenu\?(.*)$/is;
const BARE = /https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+/gi;

/** The text cut into pieces: {text}, {text, address} for links and {text, content, id} for taps. */
export function pieces(text) {
  const found = [];
  let rest = 0;
  for (const match of text.matchAll(ANCHOR)) {
    const anchor = recognised(match[1], match[2]);
    if (!anchor) continue;
    found.push(...withBareLinks(text.slice(rest, match.index)), anchor);
    rest = match.index + match[0].length;
  }
  found.push(...withBareLinks(text.slice(rest)));
  return found;
}

function recognised(attributes, label) {
  const href = HREF.exec(attributes);
  if (!href) return null;
  const address = href[1] ?? href[2];
  const menu = TAP.exec(address);
  if (menu) return tap(menu[1], label);
  const web = webAddress(address);
  return web && { text: label, address: web };
}

// A client ignores a tap whose id or content is missing, so such an anchor is not offered as one.
function tap(query, label) {
  const fields = new Map();
  for (const part of query.split("&")) {
    const cut = part.indexOf("=");
    if (cut > 0) fields.set(part.slice(0, cut).toLowerCase(), decoded(part.slice(cut + 1)));
  }
  const content = fields.get("msgmenucontent");
  const id = fields.get("msgmenuid");
  return content && id ? { text: label, content, id } : null;
}

function decoded(value) {
  try {
    return decodeURIComponent(value.replace(/\+/g, " "));
  } catch {
    return null;
  }
}

/** The address when it is a web address, else null: no javascript:, data: or file:. */
export function webAddress(address) {
  try {
    const url = new URL(address);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

// WeChat makes bare web addresses tappable by itself.
function withBareLinks(text) {
  const found = [];
  let rest = 0;
  for (const match of text.matchAll(BARE)) {
    const shown = match[0].replace(/[.,;:!?'")\]]+$/, "");
    const address = webAddress(shown);
    if (!address) continue;
    found.push({ text: text.slice(rest, match.index) }, { text: shown, address });
    rest = match.index + shown.length;
  }
  found.push({ text: text.slice(rest) });
  return found.filter((piece) => piece.text);
}
