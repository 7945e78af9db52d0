// Addresses: all state of a page is in its URL, so that a link shows the same thing.
import { signal, computed, html } from './lib.js';

const base = '/console';

/** The current location. */
const here = signal(read());

function read() {
  let path = location.pathname;
  path = path.startsWith(base) ? path.slice(base.length) : '';
  return { path: path.replace(/\/+$/, '') || '/', query: new URLSearchParams(location.search) };
}

/** The path below /console, and its parts decoded. */
export const path = computed(() => here.value.path);
export const parts = computed(() => here.value.path.split('/').filter(Boolean).map(decodeURIComponent));
/** The query as URLSearchParams. */
export const query = computed(() => here.value.query);

/** One parameter of the query, or '' . */
export const param = (name) => query.value.get(name) || '';

/** url makes an address in the console from path parts, which it encodes, and a query. */
export function url(list, params) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params || {})) if (v !== '' && v !== null && v !== undefined && v !== false) q.set(k, v === true ? 'true' : String(v));
  const text = q.toString();
  return base + '/' + list.map(encodeURIComponent).join('/') + (text ? '?' + text : '');
}

/** go opens an address; replace leaves no trace of the one before. */
export function go(to, replace) {
  if (replace) history.replaceState(history.state, '', to);
  else {
    history.replaceState({ y: scrollY }, '');
    history.pushState(null, '', to);
  }
  here.value = read();
  if (!replace) scrollTo(0, 0);
}

/** setParams changes parameters of the query and leaves the others; '' takes one away. */
export function setParams(change, replace = true) {
  const q = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(change)) {
    if (v === '' || v === null || v === undefined || v === false) q.delete(k);
    else q.set(k, v === true ? 'true' : String(v));
  }
  const text = q.toString();
  go(location.pathname + (text ? '?' + text : ''), replace);
}

/** backTo scrolls to where somebody was. Lists arrive a moment later, and are as long as before then. */
function backTo(y) {
  if (!y) return;
  const until = Date.now() + 2000;
  const look = () => {
    if (document.documentElement.scrollHeight >= y + innerHeight) scrollTo(0, y);
    else if (Date.now() < until) requestAnimationFrame(look);
  };
  look();
}

history.scrollRestoration = 'manual';
addEventListener('pagehide', () => history.replaceState({ y: scrollY }, ''));
addEventListener('popstate', () => { here.value = read(); scrollTo(0, 0); backTo((history.state || {}).y); });
backTo((history.state || {}).y);
// Links within the console do not load the page again.
addEventListener('click', (e) => {
  const a = e.target instanceof Element ? e.target.closest('a') : null;
  if (!a || !a.href || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target) return;
  const to = new URL(a.href);
  if (to.origin !== location.origin || !(to.pathname + '/').startsWith(base + '/')) return;
  e.preventDefault();
  go(to.pathname + to.search);
});

/** A link within the console. */
export const A = ({ to, params, children, ...rest }) => html`<a href=${url(to, params)} ...${rest}>${children}</a>`;
