// Records of a topic: the newest first across all partitions, searched on the broker,
// or followed live. Everything that is asked for stands in the URL.
import { html, useEffect, useRef, useState } from '../lib.js';
import { closeDialog, openDialog, openFor, param, query, setParams } from '../router.js';
import { ask, listen, p, useRights } from '../api.js';
import { bytes, count, plural, sh, span, sqlName, time } from '../format.js';
import { Act, Badge, Copy, CopyAs, Empty, Loading, Segment, Trouble, Typed, say, steps } from '../parts.js';
import { Json } from '../json.js';
import Produce from './produce.js';

/** How many rows of a live tail stay in the page. */
const maxRows = 10000;
/** How many records come at a time: first, and when more are wanted. */
const firstRows = 50;
const moreRows = 500;
/** A row's height as parts.css has it, px; beyond so many rows only those in sight are in the page, and so many around them. */
const rowHeight = 27;
const allRows = 200;
const around = 40;
/** How often arriving records are shown, ms. */
const showEvery = 120;
/** The parameters that a search is made of. */
const searchParams = ['order', 'at', 'partition', 'key', 'text', 'where'];

/** address is the path of a search for the broker. */
function address(name, more = {}) {
  const q = new URLSearchParams();
  for (const k of searchParams) if (query.value.get(k)) q.set(k, query.value.get(k));
  for (const [k, v] of Object.entries(more)) q.set(k, v);
  return p`/api/topics/${name}/records` + '?' + q;
}

/** useSearch runs the search that the URL describes. */
function useSearch(name, live) {
  const [view, setView] = useState({ rows: [], state: 'searching', dropped: 0 });
  const work = useRef(null);
  const key = searchParams.map((k) => param(k)).join('\n') + live;
  const start = (cursor, scan, keep, old = null) => {
    if (work.current) work.current.stop.abort();
    const w = { stop: new AbortController(), rows: keep ? [...work.current.rows, ...work.current.fresh] : [], state: 'searching', scanned: keep ? work.current.total : 0, before: keep ? work.current.total : 0, total: 0, progress: null, end: null, error: null, dropped: 0, paused: false, held: 0, timer: 0, fresh: [] };
    work.current = w;
    const show = () => {
      w.timer = 0;
      if (work.current !== w) return; // another search has begun
      if (w.fresh.length) {
        w.rows = live ? [...w.fresh.reverse(), ...w.rows] : [...w.rows, ...w.fresh];
        w.fresh = [];
        if (live && w.rows.length > maxRows) { w.dropped += w.rows.length - maxRows; w.rows = w.rows.slice(0, maxRows); }
      }
      // Who asks again sees what was there until there is something else.
      setView({ rows: old && !w.rows.length && w.state === 'searching' ? old : w.rows, state: w.state, progress: w.progress, end: w.end, error: w.error, dropped: w.dropped, paused: w.paused, held: w.held, total: w.total });
    };
    w.show = () => { if (!w.timer) w.timer = setTimeout(show, showEvery); };
    const more = live ? { follow: 'true' } : { limit: String(cursor ? moreRows : firstRows) };
    if (cursor) more.cursor = cursor;
    if (scan) more.scan = String(scan);
    listen(address(name, more), w.stop.signal, (event, data) => {
      const v = JSON.parse(data);
      if (event === 'record') {
        if (live && w.paused) w.held++;
        else w.fresh.push(v);
      } else if (event === 'progress' || event === 'following') { w.progress = v; w.total = w.before + v.scanned; if (live) w.state = 'following'; }
      else if (event === 'dropped') w.dropped += v.records;
      else if (event === 'done') { w.end = v; w.state = 'done'; w.total = w.before + v.scanned; }
      else if (event === 'error') { w.error = v; w.state = 'done'; }
      w.show();
    }).then(() => { if (w.state !== 'done') { w.state = 'stopped'; w.show(); } }, (error) => {
      if (error.name === 'AbortError') { if (w.state !== 'done') w.state = 'stopped'; } else { w.error = error; w.state = 'done'; }
      if (work.current === w) w.show();
    });
    show();
  };
  useEffect(() => {
    start('');
    return () => { if (work.current) { work.current.stop.abort(); clearTimeout(work.current.timer); } };
  }, [name, key]);
  return {
    view,
    stop: () => work.current.stop.abort(),
    again: () => start('', 0, false, live ? null : view.rows),
    more: () => { const at = (work.current.end || work.current.progress || {}).cursor; if (at) start(at, 0, true); },
    pause: () => { const w = work.current; w.paused = !w.paused; if (!w.paused) { w.dropped += w.held; w.held = 0; } w.show(); },
  };
}

export default function Records({ name, topic }) {
  const live = param('live') === 'true';
  const s = useSearch(name, live);
  const lacks = useRights('Topic', name);
  const { view } = s;
  useEffect(() => {
    if (!live) return undefined;
    const key = (e) => { if (e.key === ' ' && !/^(INPUT|TEXTAREA|SELECT|BUTTON)$/.test(e.target.tagName)) { e.preventDefault(); s.pause(); } };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, [live]);
  const parts = topic ? topic.partitions : 0;
  const filtered = param('key') || param('text') || param('where');
  return html`<${Filters} parts=${parts} live=${live} />
    <div class="bar-line"><${Progress} s=${s} live=${live} filtered=${filtered} />
      <span class="right row"><${CopyAs} texts=${() => texts(name)} /><${Act} why=${lacks('Write')} onClick=${() => openDialog('produce')}>Produce</${Act}></span></div>
    <${Trouble} error=${view.error} />
    ${view.rows.length ? html`<${Rows} rows=${view.rows} name=${name} />` : view.state === 'searching' ? html`<${Loading} />` : view.error ? null
      : live && view.state === 'stopped' ? html`<${Empty} title="Nothing came in">The broker has ended the live tail. Again goes on from now.</${Empty}>`
      : live ? html`<${Empty} title="Waiting for records" command=${`echo '{"hello":"world"}' | tarn produce ${sh(name)}`}>What comes in from now on appears here at once.</${Empty}>`
      : filtered ? html`<${Empty} title="No record fits">${plural(view.total, 'record')} looked at. <${AsSQL} /></${Empty}>`
      : html`<${Empty} title="No records" command=${`echo '{"hello":"world"}' | tarn produce ${sh(name)}`}>Produce one here, or:</${Empty}>`}
    ${!live && view.state !== 'searching' && view.end && view.end.why !== 'end' && view.rows.length > 0 && html`<div class="bar-line"><button onClick=${s.more}>Load more</button><span>${plural(view.end.left, 'record')} further</span></div>`}
    ${openFor('produce') !== null && topic && !lacks('Write') && html`<${Produce} name=${name} topic=${topic} onClose=${closeDialog} onDone=${() => { if (!live) s.again(); }} />`}`;
}

/** A text that compares something was meant for the field below. */
function AsSQL() {
  const text = param('text');
  if (!/[=<>]|\b(like|in|between|is)\b/i.test(text) || param('where')) return null;
  return html`<button onClick=${() => setParams({ text: '', where: text, open: '' })}>Take the text as SQL</button>`;
}

/** Filters are fields that take effect with Enter or when they are left. */
function Filters({ parts, live }) {
  const field = (name, placeholder, cls = '', extra = {}) => html`<${Typed} ...${extra} key=${name} name=${name} placeholder=${placeholder} class=${cls} also=${{ open: '' }} />`;
  return html`<div class="filters">
    <button class=${live ? 'main-action' : ''} onClick=${(e) => { e.currentTarget.blur(); setParams({ live: !live, order: '', at: '', open: '' }); }} title="Show what comes in; space pauses it">${live ? '● Live' : '○ Live'}</button>
    ${!live && html`<${Segment} name="order" fallback="newest" options=${[['newest', 'Newest'], ['oldest', 'Oldest']]} />`}
    ${!live && field('at', 'from: -1h, time, offset', '', { style: { width: '180px' }, title: 'An offset, a time such as 2026-01-31T12:00:00Z, or how long ago such as -15m' })}
    <select value=${param('partition')} aria-label="Partition" onChange=${(e) => setParams({ partition: e.target.value, open: '' })}><option value="">all partitions</option>${Array.from({ length: Math.min(parts, 1000) }, (_, i) => html`<option value=${i}>partition ${i}</option>`)}</select>
    ${field('key', 'key =', '', { style: { width: '130px' } })}
    ${field('text', 'text contains  ( / )', '', { style: { width: '170px' }, 'data-search': '1', type: 'search' })}
    ${field('where', "SQL where: amount > 10 and country = 'FR'", 'wide mono')}
  </div>`;
}

function Progress({ s, live, filtered }) {
  const { view } = s;
  const left = useRef(false); // the focus was on the button that is away while it searches
  const of = view.end || view.progress;
  if (live) {
    return html`<span class=${'dot ' + (view.paused ? 'warn' : view.state === 'following' ? 'live' : '')}></span>
      <button class="small" onClick=${s.pause}>${view.paused ? 'Go on' : 'Pause'}</button>
      <span>${view.paused ? `paused, ${plural(view.held, 'record')} passed by` : { following: 'following', searching: 'connecting' }[view.state] || 'ended'} · ${count(view.rows.length)} shown${view.dropped ? ` · ${count(view.dropped)} left out` : ''}</span>
      ${(view.state === 'stopped' || view.error) && html`<button class="small" onClick=${s.again}>Again</button>`}`;
  }
  if (view.state === 'searching') return html`<span class="dot live"></span><button class="small" onClick=${s.stop}>Stop</button><span>${of ? `${count(view.total)} scanned · ${count(view.rows.length)} matched · ${count(of.left)} left` : 'searching'}</span>`;
  const why = view.end && { limit: '', end: 'that is all', scan: 'looked at as many as at once', time: 'searched for a minute' }[view.end.why];
  return html`<span>${filtered ? `${count(view.total)} scanned · ` : ''}${count(view.rows.length)} ${filtered ? 'matched' : 'shown'}${view.state === 'stopped' ? ' · stopped' : ''}${why ? ' · ' + why : ''}${view.end ? ` · ${span(view.end.elapsed_ms / 1000)}` : ''}</span>
    ${view.end && (view.end.why === 'scan' || view.end.why === 'time' || view.state === 'stopped') && view.end.left > 0 && html`<button class="small" onClick=${s.more}>Go on</button>`}
    ${view.state === 'stopped' && view.progress && html`<button class="small" onClick=${s.more}>Go on</button>`}
    <button class="small plain" ref=${(b) => { if (b && left.current) { left.current = false; if (document.activeElement === document.body) b.focus(); } }} onClick=${() => { left.current = true; s.again(); }} title="Ask again">Refresh</button>`;
}

function Rows({ rows, name }) {
  const open = param('open');
  const id = (r) => r.partition + ':' + r.offset;
  const ref = useRef(null);
  const [from, to] = useSight(ref, rows.length);
  const at = open ? rows.findIndex((r) => id(r) === open) : -1;
  const line = (r) => html`<${Line} key=${id(r)} r=${r} open=${open === id(r)} name=${name} />`;
  const gap = (n, key) => n > 0 && html`<div key=${key} role="presentation" style=${{ height: n * rowHeight + 'px' }}></div>`;
  // The open record is as high as it is: it is always in the page, where it belongs.
  const above = at >= 0 && at < from;
  const below = at >= to;
  return html`<div class="records" role="table" aria-label="Records" aria-rowcount=${rows.length + 1} ref=${ref}><div class="line top" role="row"><span role="columnheader">Time</span><span role="columnheader" class="num" title="Partition">P<span class="rest">art</span></span><span role="columnheader" class="num">Offset</span><span role="columnheader">Key</span><span role="columnheader">Value</span></div>
    ${above ? [gap(at, 'gap1'), line(rows[at]), gap(from - at - 1, 'gap2')] : gap(from, 'gap1')}
    ${rows.slice(from, to).map(line)}
    ${below ? [gap(at - to, 'gap3'), line(rows[at]), gap(rows.length - at - 1, 'gap4')] : gap(rows.length - to, 'gap3')}</div>`;
}

/** useSight says which rows are in sight, from one and up to another, as the page scrolls. */
function useSight(ref, n) {
  const [sight, set] = useState([0, allRows]);
  useEffect(() => {
    if (n <= allRows) return undefined;
    let frame = 0;
    const look = () => {
      frame = 0;
      if (!ref.current) return;
      const whole = ref.current.querySelector('.more');
      const high = whole ? Math.min(Math.max(0, -whole.getBoundingClientRect().top), whole.offsetHeight) : 0;
      // In steps, so that a row's height of scrolling does not make the list anew.
      const top = Math.max(0, Math.floor((-ref.current.getBoundingClientRect().top - high) / rowHeight / 10) * 10);
      const from = Math.max(0, top - around);
      const to = top + Math.ceil(innerHeight / rowHeight) + around;
      set((s) => (s[0] === from && s[1] === to ? s : [from, to]));
    };
    const later = () => { if (!frame) frame = requestAnimationFrame(look); };
    addEventListener('scroll', later, { passive: true });
    addEventListener('resize', later);
    look();
    return () => { removeEventListener('scroll', later); removeEventListener('resize', later); cancelAnimationFrame(frame); };
  }, [n > allRows]);
  return n <= allRows ? [0, n] : [Math.min(sight[0], n), Math.min(sight[1], n)];
}

const Short = ({ part }) => (part.form === 'null' ? html`<span class="faint">null</span>` : part.reason ? html`<${Badge} kind="bad" title=${part.reason}>not decoded</${Badge}> <span class="mono soft">${part.wire}</span>`
  : part.form === 'json' ? html`<${Json} text=${part.text} />` : part.form === 'bytes' ? html`<span class="mono soft">${part.text.slice(0, 200)}</span>` : html`<span class="mono">${part.text.slice(0, 400)}</span>`);

/** clock is a time whose day and thousandths give way on a narrow page. */
const clock = (ms) => {
  const text = time(ms);
  return /^\d+-\d\d-\d\d /.test(text) ? html`<span class="day">${text.slice(0, -12)}</span>${text.slice(-12, -4)}<span class="rest">${text.slice(-4)}</span>` : text;
};

function Line({ r, open, name }) {
  const turn = () => setParams({ open: open ? '' : r.partition + ':' + r.offset });
  return html`<div class=${'line' + (open ? ' chosen' : '')} role="row" tabindex="0" onClick=${turn} onKeyDown=${(e) => steps(e, turn)}>
      <span role="cell" class="mono soft">${clock(r.timestamp_ms)}</span><span role="cell" class="num faint">${r.partition}</span><span role="cell" class="num">${r.offset}</span><span role="cell"><${Short} part=${r.key} /></span><span role="cell"><${Short} part=${r.value} /></span></div>
    ${open && html`<div role="row"><div role="cell"><${Whole} r=${r} name=${name} /></div></div>`}`;
}

const forms = { json: 'JSON', text: 'text', bytes: 'bytes', null: 'null' };

/** About says what a part is: its schema, or why it is not decoded. */
const About = ({ part }) => html`<span class="badges">${part.schema_id ? html`<${Badge} kind="accent">schema id ${part.schema_id}</${Badge}>` : null}<${Badge}>${forms[part.form]}</${Badge}>${part.form !== 'null' && html`<${Badge}>${bytes(part.bytes)}</${Badge}>`}</span>`;

function Body({ part }) {
  if (part.form === 'null') return html`<div class="recordbody faint" tabindex="0">null${' '}</div>`;
  return html`${part.reason && html`<div class="note bad"><b>Not decoded.</b> ${part.reason}<div class="mono">${spaced(part.wire)}${part.bytes > 48 ? '…' : ''}</div>${magic(part)}</div>`}
    <div class="recordbody" tabindex="0">${part.form === 'json' ? html`<${Json} text=${part.text} broad />` : html`<pre>${part.text}</pre>`}${part.cut && html`<p class="warn">Only the beginning is shown.</p>`}</div>`;
}

const spaced = (hex) => (hex || '').replace(/../g, '$& ').trim();
const magic = (part) => (part.wire && part.wire.startsWith('00') && part.wire.length >= 10 ? html`<div>First byte 00, then the schema id ${parseInt(part.wire.slice(2, 10), 16)} in four bytes.</div>` : html`<div>The first byte is ${(part.wire || '').slice(0, 2) || 'missing'}; a schema's prefix begins with 00.</div>`);

/** Whole is a record with all that is known of it. */
function Whole({ r, name }) {
  const [full, setFull] = useState(null);
  const one = full || r;
  const load = async () => {
    try { setFull((await ask(p`/api/topics/${name}/records` + `?order=oldest&partition=${r.partition}&at=${r.offset}&limit=1&full=true`)).records[0]); } catch (e) { say(e.message, true); }
  };
  return html`<div class="more"><div class="row spread"><span class="row soft mono">${name} / ${r.partition} / ${r.offset} · ${time(r.timestamp_ms)}${r.transactional ? html` <${Badge}>transaction</${Badge}>` : null}</span>
      <span class="row">${(r.value.cut || r.key.cut) && !full && html`<button class="small" onClick=${load}>Load all of it</button>`}
      <${CopyAs} texts=${() => ({ [one.value.cut ? 'beginning of the value' : 'value']: one.value.text, [one.key.cut ? 'beginning of the key' : 'key']: one.key.text, 'kcat': `kcat -C -b BROKER -t ${sh(name)} -p ${r.partition} -o ${r.offset} -c 1`, tarn: `tarn sql ${sh(`select * from ${sqlName(name)} where kafka_partition = ${r.partition} and kafka_offset = ${r.offset}`)}`,
        curl: `curl '${location.origin}${p`/api/topics/${name}/records`}?order=oldest&partition=${r.partition}&at=${r.offset}&limit=1&full=true'`, SQL: `select * from ${sqlName(name)} where kafka_partition = ${r.partition} and kafka_offset = ${r.offset}` })} /></span></div>
    <h2 class="row minor">Key <${About} part=${one.key} />${one.key.form !== 'null' && html`<${Copy} text=${one.key.text} label=${one.key.cut ? 'Copy the beginning' : 'Copy'} />`}</h2><${Body} part=${one.key} />
    <h2 class="row minor">Value <${About} part=${one.value} />${one.value.form !== 'null' && html`<${Copy} text=${one.value.text} label=${one.value.cut ? 'Copy the beginning' : 'Copy'} />`}</h2><${Body} part=${one.value} />
    ${one.headers.length > 0 && html`<h2 class="minor">Headers</h2><table class="grid headers">${one.headers.map((h) => html`<tr><td class="mono">${h.key}</td><td class="mono">${h.form === 'null' ? html`<span class="faint">null</span>` : h.text || html`<span class="faint">empty</span>`}</td></tr>`)}</table>`}</div>`;
}

/** texts are the same question for other tools. */
function texts(name) {
  const part = param('partition');
  const where = param('where');
  const order = param('order') === 'oldest' ? '' : ' desc';
  const conditions = [part && `kafka_partition = ${part}`, param('key') && `kafka_key = '${param('key').replaceAll("'", "''")}'`, where && `(${where})`].filter(Boolean);
  return {
    link: location.href,
    kcat: `kcat -C -b BROKER -t ${sh(name)}${part ? ' -p ' + part : ''} -o -50 -e`,
    tarn: `tarn consume ${sh(name)}${part ? ' --partition ' + part : ''}`,
    curl: `curl '${location.origin}${address(name, { limit: '50' })}'`,
    SQL: `select * from ${sqlName(name)}${conditions.length ? ' where ' + conditions.join(' and ') : ''} order by kafka_timestamp${order} limit 50`,
  };
}

