"""What a page must have for whoever cannot see it, or has no mouse: names, headings, contrast, a focus that reaches everything."""

from playwright.sync_api import Page

#: What one presses or fills in.
CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary"

#: What is wrong with a page (WCAG 2.2 AA, of what a program can tell): a list of sentences.
_WRONG = """controls => {
  const wrong = [], seen = e => e.checkVisibility({checkVisibilityCSS: true});
  const show = e => e.outerHTML.replace(/\\s+/g, ' ').slice(0, 120);
  const all = (where, root = document) => [...root.querySelectorAll(where)];
  if (!['zh-CN', 'en'].includes(document.documentElement.lang)) wrong.push('the page has no language');
  if (!document.title.trim()) wrong.push('the page has no title');
  if (all('h1').length !== 1) wrong.push('there is not one h1');
  if (all('main').length !== 1) wrong.push('there is not one main');
  let level = 0;
  for (const each of all('h1, h2, h3, h4, h5, h6').filter(seen)) {
    const its = Number(each.localName[1]);
    if (its > level + 1) wrong.push(`a heading leaves a level out: ${show(each)}`);
    if (!each.innerText.trim()) wrong.push(`a heading is empty: ${show(each)}`);
    level = its;
  }
  const led = e => (e.getAttribute('aria-labelledby') || '').split(' ').map(id => id && document.getElementById(id)?.innerText);
  const said = e => [e.ariaLabel, ...led(e),
    ...[...(e.labels || [])].map(l => l.innerText), ['INPUT', 'SELECT', 'TEXTAREA'].includes(e.tagName) ? '' : e.innerText,
    ...all('img[alt], svg[aria-label]', e).map(i => i.alt || i.ariaLabel)].filter(Boolean).join('').trim();
  for (const each of all(controls).filter(seen)) if (!said(each)) wrong.push(`without a name: ${show(each)}`);
  for (const each of all('img:not([alt])')) wrong.push(`a picture without words: ${show(each)}`);
  for (const each of all('svg').filter(seen)) {
    const told = each.ariaLabel || all(':scope > title', each).length;
    const drawn = each.getAttribute('role') === 'img' && told;
    if (each.getAttribute('aria-hidden') !== 'true' && !drawn) wrong.push(`a drawing without words: ${show(each)}`);
  }
  for (const each of all('th').filter(seen)) if (!each.scope) wrong.push(`a heading of a table without scope: ${show(each)}`);
  for (const each of all('[aria-describedby], [aria-labelledby], [for]')) {
    for (const name of ['aria-describedby', 'aria-labelledby', 'for']) {
      const gone = (each.getAttribute(name) || '').split(' ').filter(id => id && !document.getElementById(id));
      if (gone.length) wrong.push(`${name} leads nowhere: ${show(each)}`);
    }
  }
  const ids = all('[id]').map(e => e.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`the id ${id} stands twice`);
  const landmarks = all('nav').filter(seen);
  if (landmarks.length > 1) for (const each of landmarks) if (!each.ariaLabel) wrong.push(`one of several nav has no name: ${show(each)}`);

  const part = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
  const read = s => {
    const n = (s.match(/[\\d.]+/g) || []).map(Number), whole = s.startsWith('color') ? 255 : 1;
    return [...n.slice(0, 3).map(v => v * whole), n.length > 3 ? n[3] : 1];
  };
  const over = (front, back) => [0, 1, 2].map(i => front[i] * front[3] + back[i] * (1 - front[3]));
  const ground = e => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.unshift(read(getComputedStyle(at).backgroundColor));
    const sheet = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reduce((back, front) => over(front, back), sheet);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    const shown = seen(e) && e.getClientRects().length && !e.closest('option, .skip, [disabled]');
    if (!walker.currentNode.textContent.trim() || !shown) continue;
    const style = getComputedStyle(e), back = ground(e);
    const front = over(read(e.closest('svg') ? style.fill : style.color), back);
    const [x, y] = [light(front), light(back)].sort((p, q) => q - p), ratio = (x + .05) / (y + .05);
    if (ratio < 4.5) wrong.push(`faint (${ratio.toFixed(2)}): ${show(e)}`);
  }
  return wrong;
}"""

#: What Tab should reach, in order: each gets a number; of radio buttons of one name, the first or the chosen one.
_NUMBERED = """controls => {
  const usable = e => e.checkVisibility({checkVisibilityCSS: true}) && !e.disabled && e.tabIndex >= 0;
  const seen = [...document.querySelectorAll(controls)].filter(usable);
  const radios = new Map();
  for (const e of seen) if (e.type === 'radio' && (e.checked || !radios.has(e.name))) radios.set(e.name, e);
  const stops = seen.filter(e => e.type !== 'radio' || radios.get(e.name) === e);
  stops.forEach((e, at) => { e.dataset.stop = at; });
  return stops.length;
}"""

#: The number of what has the focus, and whether one sees that it has.
_FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const framed = (style.outlineStyle !== 'none' && style.outlineWidth !== '0px') || style.boxShadow !== 'none';
  return [e.dataset.stop === undefined ? -1 : Number(e.dataset.stop), framed, e.outerHTML.slice(0, 120)];
}"""


def wrong(page: Page) -> list[str]:
    """What a page lacks."""
    found: list[str] = page.evaluate(_WRONG, CONTROLS)
    return found


def unreached(page: Page) -> list[str]:
    """What Tab does not come to, or shows no sign of having come to, from the top of the page to its end."""
    stops = page.evaluate(_NUMBERED, CONTROLS)
    page.evaluate("() => { document.activeElement.blur(); window.getSelection().removeAllRanges(); scrollTo(0, 0); }")
    found, reached = [], set[int]()
    for _ in range(stops + 12):  # a field for a moment has several stops of its own
        page.keyboard.press("Tab")
        stop, framed, what = page.evaluate(_FOCUSED)
        if stop >= 0 and not framed:
            found.append(f"has the focus and does not show it: {what}")
        reached.add(stop)
    return [*found, *(f"Tab does not come to number {stop} of {stops}" for stop in range(stops) if stop not in reached)]
