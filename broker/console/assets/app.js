// The frame around all pages: who is there, where to go, keys.
import { html, render, useEffect, useRef, useState } from './lib.js';
import { A, closeDialog, go, openDialog, openFor, parts, path, url } from './router.js';
import { ask, session } from './api.js';
import { Dialog, Toast, Trouble } from './parts.js';
import { setTheme, setUTC, theme, utc } from './format.js';

/**
 * Pages by the first part of their path: name, key after g, module.
 * @type {[string, string, string, () => Promise<any>][]}
 */
const pages = [
  ['', 'Home', 'h', () => import('./pages/home.js')],
  ['topics', 'Topics', 't', () => import('./pages/topics.js')],
  ['schemas', 'Schemas', 's', () => import('./pages/schemas.js')],
  ['groups', 'Groups', 'r', () => import('./pages/groups.js')],
  ['tables', 'Tables', 'l', () => import('./pages/tables.js')],
  ['sql', 'SQL', 'q', () => import('./pages/sql.js')],
  ['clients', 'Clients', 'c', () => import('./pages/clients.js')],
  ['security', 'Security', 'a', () => import('./pages/security.js')],
  ['settings', 'Settings', 'o', () => import('./pages/settings.js')],
];

/** Pages of the cluster, for who may describe it. */
const ofCluster = ['clients', 'security', 'settings'];
const mine = () => pages.filter(([name]) => session.value.cluster || !ofCluster.includes(name));

/** Page loads the module of where we are and shows it. */
function Page() {
  const first = parts.value[0] || '';
  const page = pages.find(([name]) => name === first);
  const [shown, set] = useState(null);
  useEffect(() => {
    let gone = false;
    if (!page) { set({ first, View: () => html`<h1>No such page</h1><p>There is nothing at <code>${path.value}</code>. <${A} to=${[]}>Home</${A}></p>` }); return undefined; }
    page[3]().then((m) => { if (!gone) set({ first, View: m.default }); }, (error) => { if (!gone) set({ first, View: () => html`<${Trouble} error=${error} />` }); });
    document.title = (parts.value.slice(0, 2).join(' / ') || 'Home') + ' · Tarn';
    return () => { gone = true; };
  }, [first, path.value]);
  return shown && shown.first === first ? html`<${shown.View} />` : null;
}

/** The picture of icon.svg: one that has to be asked for is painted later. */
const Logo = () => html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="#0f6b78"/><path d="M5 21c3-3 5.500-3 8 0s5 3 8 0 4-3 6-1.500" fill="none" stroke="#bff3ee" stroke-width="2.600" stroke-linecap="round"/><path d="M5 14.500c3-3 5.500-3 8 0s5 3 8 0 4-3 6-1.500" fill="none" stroke="#fff" stroke-width="2.600" stroke-linecap="round"/></svg>`;

function Side() {
  const first = parts.value[0] || '';
  const next = { system: 'light', light: 'dark', dark: 'system' };
  return html`<aside class="side"><a class="brand" href=${url([])}><${Logo} />Tarn</a>
    <nav aria-label="Pages">${mine().map(([name, label, key]) => html`<a href=${url(name ? [name] : [])} class=${first === name ? 'on' : ''} aria-current=${first === name ? 'page' : undefined}>${label}<kbd>g ${key}</kbd></a>`)}</nav>
    <div class="foot"><div class="row"><button class="plain small" onClick=${() => setTheme(next[theme.value])} title="Light, dark or as the system has it">${{ system: 'Auto', light: 'Light', dark: 'Dark' }[theme.value]} theme</button>
      <button class="plain small" onClick=${() => setUTC(!utc.value)} title="Zone of times">${utc.value ? 'UTC' : 'Local time'}</button></div>
      ${session.value.user && html`<div class="row spread who"><span class="cut">${session.value.user}</span>${session.value.by_cookie && html`<button class="plain small" onClick=${signOut}>Sign out</button>`}</div>`}
      <div class="row spread"><span>tarn ${session.value.version}</span><button class="plain small" onClick=${() => openDialog('keys')}>Keys <kbd>?</kbd></button></div></div></aside>`;
}

async function signOut() {
  await ask('/api/session', { method: 'DELETE' });
  location.reload();
}

function SignIn() {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const send = async (e) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await ask('/api/session', { method: 'POST', body: { user, password } });
      session.value = await ask('/api/session');
    } catch (err) { setError(err); setBusy(false); }
  };
  return html`<form class="sign-in column" onSubmit=${send}><div class="brand"><${Logo} />Tarn</div>
    <label class="field">User<input name="user" autocomplete="username" ref=${first} required value=${user} onInput=${(e) => setUser(e.target.value)} /></label>
    <label class="field">Password<input name="password" type="password" autocomplete="current-password" required value=${password} onInput=${(e) => setPassword(e.target.value)} /></label>
    ${error && html`<div class="note bad" role="alert">${error.message}</div>`}
    <button class="main-action" disabled=${busy}>Sign in</button>
    <div class="faint">The users are those of Kafka clients: <code>tarn user create NAME</code></div></form>`;
}

const keys = () => [['/', 'search or filter on this page'], ['?', 'this list'], ['Esc', 'close, or leave a field'], ['↑ ↓, Enter', 'go through the rows of a list, and open one'], ['space', 'records: pause or go on with the live tail'], ['Ctrl Enter', 'SQL: run; produce: send'],
  ...mine().map(([, label, key]) => ['g ' + key, label])];

const Help = () => openFor('keys') !== null && html`<${Dialog} title="Keys" onClose=${closeDialog}><table class="grid">${keys().map(([k, what]) => html`<tr><td class="fit"><kbd>${k}</kbd></td><td>${what}</td></tr>`)}</table></${Dialog}>`;

/** Whether a key belongs to a field and not to the page. */
const typing = (t) => t && (t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName));

let before = '';
let beforeAt = 0;
addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (typing(e.target)) { if (e.key === 'Escape' && e.target instanceof HTMLElement) e.target.blur(); return; }
  if (document.querySelector('.dialog')) return;
  const prefixed = before === 'g' && Date.now() - beforeAt < 1500;
  before = e.key;
  beforeAt = Date.now();
  if (prefixed) {
    const page = mine().find(([, , key]) => key === e.key);
    if (page) { e.preventDefault(); go(url(page[0] ? [page[0]] : [])); }
    before = '';
    return;
  }
  if ((e.key === 'ArrowDown' || e.key === 'j') && e.target === document.body) {
    const row = document.querySelector('.main tr[tabindex="0"], .main [role="row"][tabindex="0"]');
    if (row instanceof HTMLElement) { e.preventDefault(); row.focus(); }
  } else if (e.key === '?') openDialog('keys');
  else if (e.key === '/') {
    const field = document.querySelector('[data-search]');
    if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) { e.preventDefault(); field.focus(); field.select(); }
  }
});

function App() {
  const s = session.value;
  if (!s) return null;
  if (s.needed && !s.signed_in) return html`<${SignIn} /><${Toast} />`;
  return html`<div class="frame"><${Side} /><main class="main"><${Page} key=${s.user} /></main></div><${Help} /><${Toast} />`;
}

const app = document.getElementById('app');
const begin = pages.find(([name]) => name === (parts.value[0] || ''));
if (begin) begin[3]().catch(() => { /* Page says so */ }); // on its way before we know who asks
// The page comes with its frame, which is seen until we know who asks. begin.js has sent the question.
ask('/api/session', { asked: /** @type {any} */ (window).tarnSession }).then((s) => {
  session.value = s;
  document.documentElement.classList.remove('asked');
  try { localStorage.setItem('tarn.asked', s.needed ? 'true' : ''); } catch { /* the frame is seen for a moment before somebody signs in */ }
  app.textContent = '';
  render(html`<${App} />`, app);
}, (error) => { document.documentElement.classList.remove('asked'); app.textContent = error.message; });
