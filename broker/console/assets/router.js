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

/** inDialog says that the page before this one is the same without its dialog. */
const inDialog = () => (history.state || {}).dialog;

/** go opens an address; replace leaves no trace of the one before. */
export function go(to, replace) {
  if (replace) history.replaceState(history.state, '', to);
  else if (inDialog()) history.replaceState(null, '', to); // whoever goes back comes to the page, not to a dialog that is done
  else {
    history.replaceState({ y: scrollY }, '');
    history.pushState(null, '', to);
  }
  here.value = read();
  if (!replace) scrollTo(0, 0);
}

/** changed is this address with other parameters; '' takes one away. */
function changed(change) {
  const q = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(change)) {
    if (v === '' || v === null || v === undefined || v === false) q.delete(k);
    else q.set(k, v === true ? 'true' : String(v));
  }
  const text = q.toString();
  return location.pathname + (text ? '?' + text : '');
}

/** setParams changes parameters of the query and leaves the others; '' takes one away. */
export const setParams = (change) => go(changed(change), true);

/** openDialog opens one of the page's dialogs, for something if of is given. Going back closes it. */
export function openDialog(name, of = '') {
  const to = changed({ dialog: of === '' ? name : name + ':' + of });
  if (inDialog()) history.replaceState(history.state, '', to);
  else {
    history.replaceState({ y: scrollY }, '');
    history.pushState({ dialog: true, y: scrollY }, '', to);
  }
  here.value = read();
}

/** closeDialog closes the dialog that is open: the page stays. */
export function closeDialog() {
  if (!param('dialog')) return;
  if (inDialog()) history.back();
  else setParams({ dialog: '' }); // it came with the address
}

/** openFor is what a dialog is open for, '' if for nothing, and null if it is not open. */
export function openFor(name) {
  const is = param('dialog');
  if (is === name) return '';
  return is.startsWith(name + ':') ? is.slice(name.length + 1) : null;
}

/** backTo scrolls to where somebody was. Lists arrive a moment later, and are as long as before then. */
function backTo(y) {
  if (!y) return;
  const until = Date.now() + 2000;
  const look = () => {
    const room = document.documentElement.scrollHeight - innerHeight;
    scrollTo(0, Math.min(y, room)); // the end of a long list brings more of it
    if (room < y && Date.now() < until) requestAnimationFrame(look);
  };
  look();
}

history.scrollRestoration = 'manual';
addEventListener('pagehide', () => history.replaceState({ ...history.state, y: scrollY }, ''));
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
