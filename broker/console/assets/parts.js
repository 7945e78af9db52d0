// Parts that pages are made of.
import { html, signal, useState, useEffect, useLayoutEffect, useRef } from './lib.js';
import { A, param, setParams } from './router.js';
import { ago, plural, time, utc } from './format.js';

const note = signal(null);
let noteTimer = 0;

/** say shows a line at the bottom of the page for a moment. */
export function say(text, bad = false) {
  note.value = { text, bad };
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => { note.value = null; }, bad ? 7000 : 2200);
}

/** Toast is where say shows. */
export const Toast = () => note.value && html`<div class=${'toast' + (note.value.bad ? ' bad' : '')} role="status">${note.value.text}</div>`;

/** copy puts a text on the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied');
  } catch {
    // Without https there is no clipboard for pages of other hosts than this one.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const ok = document.execCommand('copy');
    area.remove();
    say(ok ? 'Copied' : 'The browser lets nothing be copied here', !ok);
  }
}

export const Copy = ({ text, label = 'Copy' }) => html`<button class="small plain" onClick=${() => copy(text)} title="Copy">${label}</button>`;

/** A command or program text, to be copied. */
export const Command = ({ text }) => html`<div class="command"><pre>${text}</pre><${Copy} text=${text} /></div>`;

/** CopyAs is a menu of texts by name. */
export function CopyAs({ texts, label = 'Copy as' }) {
  const [open, set] = useState(false);
  const ref = useRef(null);
  const shut = () => { set(false); if (ref.current) ref.current.querySelector('button').focus(); };
  useEffect(() => {
    if (!open) return undefined;
    const off = (e) => { if (e.key === 'Escape') shut(); else if (!ref.current || !ref.current.contains(e.target)) set(false); };
    addEventListener('click', off);
    addEventListener('keydown', off);
    return () => { removeEventListener('click', off); removeEventListener('keydown', off); };
  }, [open]);
  return html`<span class="menu" ref=${ref} onKeyDown=${(e) => { if (open && e.key === 'Escape') { e.stopPropagation(); shut(); } }}><button onClick=${() => set(!open)} aria-expanded=${open}>${label} ▾</button>
    ${open && html`<div class="items">${Object.entries(texts()).map(([name, text]) => html`<button onClick=${() => { shut(); copy(text); }}>${name}</button>`)}</div>`}</span>`;
}

/** Head is the title line of a page. */
export const Head = ({ trail = [], title, children }) => html`<div class="head"><h1>${trail.map(([name, ...to]) => html`<${A} to=${to}>${name}</${A}> <span class="crumb">/</span> `)}${title}</h1>${children}</div>`;

/** Tabs are links below a topic or table; where they are wider than the page, the one we are on is in sight. */
export function Tabs({ base, tabs, on }) {
  const ref = useRef(null);
  useEffect(() => {
    const here = ref.current.querySelector('.on');
    if (here) ref.current.scrollLeft += Math.max(0, here.getBoundingClientRect().right - ref.current.getBoundingClientRect().right);
  }, [on, tabs.map((t) => t[2]).join()]); // a number beside a name makes it wider
  return html`<nav class="tabs" aria-label="Parts of this page" ref=${ref}>${tabs.map(([name, label, badge]) =>
  html`<${A} to=${name ? [...base, name] : base} class=${on === name ? 'on' : ''} aria-current=${on === name ? 'page' : undefined}>${label}${badge ? html`<span class="badge bad">${badge}</span>` : null}</${A}>`)}</nav>`;
}

export const Badge = ({ kind = '', children, title }) => html`<span class=${'badge ' + kind} title=${title}>${children}</span>`;

/** A line with the command that helps at its end: one of its flags is not broken after its dashes. */
function helped(text) {
  const at = text.indexOf(': tarn ') + 2;
  if (at < 2) return text;
  const [first, ...flags] = text.slice(at).split(' --');
  return html`${text.slice(0, at)}<code>${first}${flags.map((f) => html` <span class="whole">--${f}</span>`)}</code>`;
}

/** Trouble says what went wrong; nothing without an error. */
export const Trouble = ({ error }) => error && (error.status === 403
  ? html`<div class="note" role="status">${helped(error.message)}</div>`
  : html`<div class="note bad" role="alert">${error.message}</div>`);

/** Empty says that there is nothing yet, and the command that changes it. */
export const Empty = ({ title, children, command }) => html`<div class="empty"><b>${title}</b>${children}${command && html`<${Command} text=${command} />`}</div>`;

export const Loading = () => html`<div class="loading">Loading…</div>`;

/** Loaded shows its children's result once there are data. */
export const Loaded = ({ of, children }) => html`<${Trouble} error=${of.error} />${of.data === null ? (of.error ? null : html`<${Loading} />`) : children(of.data)}`;

/** When is a time: how long ago, with the moment as its title. */
export const When = ({ ms }) => (ms ? html`<span title=${time(ms) + (utc.value ? ' UTC' : '')} class="nowrap">${ago(ms)}</span>` : html`<span class="faint">–</span>`);

/** steps has Enter open a row that has the focus, and the arrows or j and k go to its neighbours. */
export function steps(e, open) {
  if (e.target !== e.currentTarget || e.ctrlKey || e.metaKey || e.altKey) return;
  const way = { ArrowDown: 'nextElementSibling', j: 'nextElementSibling', ArrowUp: 'previousElementSibling', k: 'previousElementSibling' }[e.key];
  if (e.key === 'Enter') open();
  else if (way) {
    let to = e.currentTarget[way];
    while (to && to.tabIndex < 0) to = to[way];
    if (to) to.focus();
  } else return;
  e.preventDefault();
}

/** atOnce is how many rows of a list are in the page at first, and how many come whenever its end is near. */
const atOnce = 200;

/** useNear says how many of n rows are shown, and gives what has to stand behind them. */
function useNear(n) {
  const [shown, set] = useState(atOnce);
  const ref = useRef(null);
  useEffect(() => {
    if (!ref.current) return undefined;
    const near = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) set((s) => s + atOnce); }, { rootMargin: '1200px' });
    near.observe(ref.current);
    return () => near.disconnect();
  }, [shown, n > shown]);
  return [shown, n > shown && html`<p ref=${ref} class="faint">${plural(n - shown, 'more row')}</p>`];
}

/**
 * Grid is a table that sorts by its columns; which one is in the URL. A roomy column is
 * left out on a telephone. Of a long list, rows come into the page as somebody comes near.
 * @param {{rows: any[], columns: {name: string, key?: string, value?: (row: any) => any, show?: (row: any) => any, num?: boolean, fit?: boolean, roomy?: boolean, cls?: string, title?: string}[], id?: string, onRow?: (row: any) => void, sort?: string, rowClass?: (row: any) => string, keyOf?: (row: any) => string}} o
 *   keyOf tells rows without a name apart: the focus stays with its row when the order changes
 */
export function Grid({ rows, columns, id = '', onRow, sort = '', rowClass, keyOf }) {
  const given = param('sort' + id) || sort;
  const down = given.startsWith('-');
  const name = down ? given.slice(1) : given;
  const by = columns.find((c) => c.key === name && c.value);
  let list = rows;
  if (by) {
    list = [...rows].sort((a, b) => {
      const [x, y] = [by.value(a), by.value(b)];
      const order = typeof x === 'string' || typeof y === 'string' ? String(x ?? '').localeCompare(String(y ?? ''), 'en', { numeric: true }) : (x ?? -Infinity) - (y ?? -Infinity);
      return down ? -order : order;
    });
  }
  const [shown, rest] = useNear(list.length);
  const head = (c) => {
    const sorts = c.value && c.key;
    const next = name === c.key ? (down ? c.key : '-' + c.key) : (c.num ? '-' : '') + c.key;
    const text = html`${c.name}${name === c.key && c.key ? html`<span class="arrow" aria-hidden="true">${down ? '↓' : '↑'}</span>` : null}`;
    return html`<th scope="col" class=${(c.num ? 'num ' : '') + (c.fit ? 'fit ' : '') + (c.roomy ? 'roomy ' : '') + (sorts ? 'sorts' : '')} title=${c.title} aria-sort=${sorts && name === c.key ? (down ? 'descending' : 'ascending') : undefined}>${sorts
      ? html`<button class="sorter" onClick=${() => setParams({ ['sort' + id]: next === sort ? '' : next })}>${text}</button>` : text}</th>`;
  };
  return html`<div class="scroll"><table class="grid"><thead><tr>${columns.map(head)}</tr></thead><tbody>${list.slice(0, shown).map((r, i) => html`<tr key=${keyOf ? keyOf(r) : r.name ?? i} class=${(onRow ? 'open ' : '') + (rowClass ? rowClass(r) : '')}
    tabindex=${onRow ? 0 : undefined} onKeyDown=${onRow && ((e) => steps(e, () => onRow(r)))}
    onClick=${onRow && ((e) => { if (!e.target.closest('a,button')) onRow(r); })}>${columns.map((c) => html`<td class=${(c.num ? 'num ' : '') + (c.fit ? 'fit ' : '') + (c.roomy ? 'roomy ' : '') + (c.cls || '')}>${c.show ? c.show(r) : c.value(r)}</td>`)}</tr>`)}</tbody></table></div>${rest}${!list.length && !id && param('q') && html`<p class="faint">Nothing here has “${param('q')}” in it.</p>`}`;
}

/** Dialog lies above the page until it is closed. What somebody has typed there is not lost by one key or a click beside it. */
export function Dialog({ title, onClose, wide, children, actions }) {
  const ref = useRef(null);
  const typed = useRef(false);
  // At once: who presses Escape as soon as the dialog is seen closes it.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const first = ref.current && (ref.current.querySelector('[data-first]') || ref.current.querySelector('input,textarea,select,button.main-action') || ref.current.querySelector('.actions button'));
    if (first) first.focus();
    const key = (e) => {
      // Escape is first for a menu that is open, and for the field that somebody types in.
      const inner = ref.current && (ref.current.querySelector('.menu .items') || (typed.current && /^(INPUT|TEXTAREA)$/.test(e.target.tagName)));
      if (e.key === 'Escape' && !inner) { e.stopPropagation(); onClose(); }
      if (e.key !== 'Tab' || !ref.current) return;
      // Who goes on from the last field comes to the first: the page below is not to be reached.
      const all = [...ref.current.querySelectorAll('a[href],button:not([disabled]),input,select,textarea,[tabindex="0"]')].filter((x) => x.offsetParent);
      const [from, to] = e.shiftKey ? [all[0], all.at(-1)] : [all.at(-1), all[0]];
      if (to && (document.activeElement === from || !ref.current.contains(document.activeElement))) { e.preventDefault(); to.focus(); }
    };
    addEventListener('keydown', key);
    return () => { removeEventListener('keydown', key); if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return html`<div class="veil" onMouseDown=${(e) => { if (e.target === e.currentTarget && !typed.current) onClose(); }} onInput=${() => { typed.current = true; }}>
    <div class=${'dialog' + (wide ? ' wide' : '')} role="dialog" aria-modal="true" aria-label=${title} ref=${ref}><h2>${title}</h2>${children}<div class="actions">${actions}<button onClick=${onClose}>Close</button></div></div></div>`;
}

/** Act is a button for what wants a right; why says that it is missing. */
export const Act = ({ why, kind = '', disabled, title, onClick, children }) => html`<button class=${kind} disabled=${!!why || disabled} title=${why || title} onClick=${onClick}>${children}</button>`;

/** Doing is a button for something that takes a while and may go wrong; why says which right is missing for it. */
export function Doing({ run, children, kind = '', disabled, title, why = '' }) {
  const [busy, set] = useState(false);
  const click = async (e) => {
    const button = e.currentTarget;
    set(true);
    try { await run(); } catch (x) { if (x.name !== 'AbortError') say(x.message, true); }
    set(false);
    // A button that is disabled loses the focus; who works by keys goes on from it.
    setTimeout(() => { if (document.activeElement === document.body) button.focus(); });
  };
  return html`<button class=${kind} disabled=${busy || disabled || !!why} title=${why || title} onClick=${click}>${busy ? '…' : children}</button>`;
}

/** Sure asks before something that cannot be undone: the name has to be typed. */
export function Sure({ title, name, action, run, onClose, children }) {
  const [typed, set] = useState('');
  return html`<${Dialog} title=${title} onClose=${onClose} actions=${html`<${Doing} kind="danger" disabled=${typed !== name} run=${async () => { await run(); onClose(); }}>${action}</${Doing}>`}>
    ${children}<label class="field"><span>Type <b class="wrap">${name}</b> to confirm</span><input value=${typed} onInput=${(e) => set(e.target.value)} /></label></${Dialog}>`;
}

/** Find is the search field of a list, whose text is in the URL. "/" goes there. */
export const Find = ({ name = 'q', placeholder = 'Filter' }) => html`<input type="search" data-search="1" placeholder=${placeholder + '  ( / )'} value=${param(name)} onInput=${(e) => setParams({ [name]: e.target.value })} aria-label=${placeholder} />`;

/**
 * Typed is a field whose text takes effect with Enter or when the field is left, as a
 * parameter of the URL. Until then what is typed belongs to whoever types: pages are
 * rendered anew whenever an answer arrives, and the URL does not know of it yet.
 * @param {{name: string, placeholder: string, also?: object, [attribute: string]: any}} o also are parameters that change with it
 */
export function Typed({ name, placeholder, also, ...rest }) {
  const set = param(name);
  // A draft of another value is none: somebody went back, or followed a link.
  const [draft, write] = useState({ text: set, over: set });
  const take = (e) => { const text = e.target.value.trim(); setParams({ [name]: text, ...also }); write({ text, over: text }); };
  return html`<input ...${rest} placeholder=${placeholder} aria-label=${placeholder} value=${draft.over === set ? draft.text : set} onInput=${(e) => write({ text: e.target.value, over: param(name) })}
    onChange=${take} onKeyDown=${(e) => { if (e.key === 'Enter') take(e); }} />`;
}

/** Segment is a choice among a few, kept in the URL. */
export const Segment = ({ name, options, fallback }) => html`<span class="segment">${options.map(([value, label]) =>
  html`<button class=${(param(name) || fallback) === value ? 'on' : ''} aria-pressed=${(param(name) || fallback) === value} onClick=${() => setParams({ [name]: value === fallback ? '' : value })}>${label}</button>`)}</span>`;

/** Facts is a list of names and what they are. */
export const Facts = ({ of }) => html`<dl class="facts">${of.filter(Boolean).map(([name, value]) => html`<dt>${name}</dt><dd>${value ?? '–'}</dd>`)}</dl>`;
