// Tables: how fresh they are, what waits, their files and states, and how to open them.
import { html } from '../lib.js';
import { A, go, param, parts, setParams, url } from '../router.js';
import { ask, p, useAsk, useRights } from '../api.js';
import { ago, bytes, count, plural, span } from '../format.js';
import { Badge, Command, Doing, Empty, Facts, Find, Grid, Head, Loaded, When, say } from '../parts.js';

/** stateKind is the colour of a sink's state. */
export const stateKind = (s) => (s === 'running' ? 'good' : s === 'waiting_for_schema' || s === 'rebuilding' ? 'warn' : 'bad');

/** Fresh says how old the newest row is against its log. */
const fresh = (t) => (t.behind === 0 ? html`<span class="good">up to date</span>` : t.fresh_ms ? span((Date.now() - t.fresh_ms) / 1000) : '–');

export default function Tables() {
  const [, name] = parts.value;
  return name === undefined ? html`<${List} />` : html`<${Head} trail=${[['Tables', 'tables']]} title=${name}><${A} to=${['topics', name]}>topic</${A}></${Head}><${TableOf} key=${name} name=${name} />`;
}

function List() {
  const it = useAsk('/api/tables', 3000);
  const q = param('q').toLowerCase();
  return html`<${Head} title="Tables"><span class="right"><${Find} placeholder="Filter tables" /></span></${Head}>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((t) => (t.topic + ' ' + t.table).toLowerCase().includes(q))} sort="topic" keyOf=${(t) => t.topic} onRow=${(t) => go(url(['tables', t.topic]))} columns=${[
      { name: 'Topic', key: 'topic', cls: 'name', value: (t) => t.topic, show: (t) => html`<${A} to=${['tables', t.topic]}>${t.topic}</${A}>` },
      { name: 'State', key: 'state', value: (t) => t.state, show: (t) => html`<${Badge} kind=${stateKind(t.state)} title=${t.message}>${t.state.replaceAll('_', ' ')}</${Badge}>` },
      { name: 'Formats', show: (t) => html`<span class="badges">${t.formats.map((f) => html`<${Badge} kind="accent">${f.format}</${Badge}>`)}</span>` },
      { name: 'Behind', key: 'fresh', num: true, value: (t) => -(t.fresh_ms || 0), show: fresh },
      { name: 'Pending', key: 'behind', num: true, value: (t) => t.behind, show: (t) => html`${count(t.behind)} <span class="faint">${t.pending_bytes ? bytes(t.pending_bytes) : ''}</span>` },
      { name: 'Rows', key: 'rows', num: true, value: (t) => rows(t), show: rowsText },
      { name: 'Files', key: 'files', num: true, value: (t) => Math.max(...t.formats.map((f) => f.files)), show: (t) => count(Math.max(...t.formats.map((f) => f.files))) },
      { name: 'Size', key: 'bytes', num: true, value: (t) => size(t), show: (t) => bytes(size(t)) },
      { name: 'Dead letters', key: 'dead', num: true, value: (t) => dead(t), show: (t) => (dead(t) ? html`<span class="warn">${count(dead(t))}</span>` : html`<span class="faint">0</span>`) },
      { name: 'Schema', show: (t) => (t.schema ? html`<${A} to=${['schemas', t.schema.subject]}>v${t.schema.version}</${A}>` : html`<span class="faint">none</span>`) },
    ]} />` : html`<${Empty} title="No topic fills a table" command="tarn topic create orders -c tarn.table.formats=iceberg,parquet">A topic with table formats is written to the lake as records come in, exactly once.</${Empty}>`)}</${Loaded}>`;
}

/** Nothing is known of a table that does not answer. */
const silent = (t) => t.formats.length > 0 && t.formats.every((f) => f.unknown);
const rows = (t) => Math.max(0, ...t.formats.map((f) => f.rows));
const rowsText = (t) => (silent(t) ? '–' : count(rows(t)));
const size = (t) => t.formats.reduce((n, f) => n + f.bytes, 0);
const dead = (t) => Math.max(0, ...t.formats.map((f) => f.dead_letters));

/** The work that buttons start, and what they say when it is done. */
const works = [
  ['flush', 'Commit now', (r) => `${plural(r.rows, 'row')} committed`, 'Write what is pending to the tables'],
  ['compact', 'Merge files', () => 'Small files are merged', 'Rewrite small files as large ones'],
  ['expire', 'Expire states', () => 'Old states are gone', 'Forget states past their retention and remove files that nothing names'],
  ['verify', 'Verify', (r) => (r.formats || [r]).map((f) => `${f.format || ''} ${f.verdict || 'done'}`).join(', '), 'Compare tables and log, record by record'],
];

/** TableOf is everything about a topic's tables. */
export function TableOf({ name }) {
  const it = useAsk(p`/api/tables/${name}`, 3000);
  const lacks = useRights('Topic', name);
  const run = (work, tell) => async () => { const r = await ask(p`/api/tables/${name}/${work}`, { method: 'POST' }); say(tell(r)); it.again(); };
  return html`<${Loaded} of=${it}>${(t) => html`
    <div class="row" style=${{ marginBottom: '12px' }}><${Badge} kind=${stateKind(t.state)}>${t.state.replaceAll('_', ' ')}</${Badge}><span class="soft">table <code>${t.table}</code></span>
      <span class="right row">${works.map(([work, label, tell, title]) => html`<${Doing} title=${title} why=${lacks('Alter')} run=${run(work, tell)}>${label}</${Doing}>`)}</span></div>
    ${t.message && html`<div class="note ${stateKind(t.state) === 'bad' ? 'bad' : 'warn'}">${t.message}</div>`}
    <div class="cards"><div class="card"><div class="label">Behind its log</div><div class="value">${fresh(t)}</div><div class="more">${plural(t.behind, 'record')}${t.pending_bytes ? ', ' + bytes(t.pending_bytes) : ''}</div></div>
      <div class="card"><div class="label">Next commit</div><div class="value">${t.next_commit_ms ? ago(t.next_commit_ms) : '–'}</div><div class="more">every ${span(t.interval_ms / 1000)}${t.configured_interval_ms && t.interval_ms > t.configured_interval_ms ? ', wider than asked' : ''}</div></div>
      <div class="card"><div class="label">Rows</div><div class="value">${rowsText(t)}</div><div class="more">${dead(t) ? html`<span class="warn">${plural(dead(t), 'dead letter')}</span>` : 'no dead letters'}</div></div>
      <div class="card"><div class="label">Size</div><div class="value">${bytes(size(t))}</div><div class="more">all formats</div></div>
      <div class="card"><div class="label">Schema</div><div class="value">${t.schema ? html`<${A} to=${['schemas', t.schema.subject]}>v${t.schema.version}</${A}>` : 'none'}</div><div class="more">${t.schema ? 'id ' + t.schema.id : 'rows have key and value'}</div></div></div>
    ${t.schema && t.schema.refused && html`<div class="note bad"><b>The tables cannot take version ${t.schema.version} of ${t.schema.subject}; its records are dead letters:</b> ${t.schema.refused}<div><b>What helps:</b> ${t.schema.fix}</div></div>`}
    <div class="formats">${t.formats.map((f) => html`<${Format} f=${f} said=${t.message} />`)}</div>
    ${(t.partition || t.sort) && html`<p class="soft">${t.partition && html`Partitioned by <code>${t.partition}</code>. `}${t.sort && html`Sorted by <code>${t.sort}</code>.`}</p>`}
    <div class="halves"><${Files} name=${name} /><${History} name=${name} /></div>
    <${Snippets} of=${t.snippets || []} />`}</${Loaded}>`;
}

/** Format is one of a topic's tables; what is said of all of them, or below as its error, is not said again. */
function Format({ f, said }) {
  const known = f.message === said || (f.last_error && (f.message || '').endsWith(f.last_error.message));
  const at = f.offsets ? Object.entries(f.offsets) : [];
  return html`<div class="panel"><div class="row" style=${{ marginBottom: '8px' }}><b>${f.format}</b><${Badge} kind=${stateKind(f.state)}>${f.state.replaceAll('_', ' ')}</${Badge}></div>
    ${f.message && !known && html`<div class="note warn">${f.message}</div>`}
    ${f.notice && html`<div class="note warn">${f.notice}</div>`}
    ${f.last_error && html`<div class="note ${f.state === 'running' ? 'warn' : 'bad'}"><b>${f.state === 'running' ? 'It went wrong' : 'It goes wrong'} ${ago(f.last_error.at_ms)}:</b> ${f.last_error.message}${f.last_error.fix && html`<div><b>What helps:</b> ${f.last_error.fix}</div>`}</div>`}
    <${Facts} of=${[['Last commit', f.last_commit ? html`<${When} ms=${f.last_commit.at_ms} />, ${plural(f.last_commit.rows, 'row')} in ${span(f.last_commit.took_ms / 1000)}` : f.commit_ms ? html`<${When} ms=${f.commit_ms} />` : 'none yet'],
      !f.unknown && ['State', html`<code>${f.version || '–'}</code>, ${count(f.snapshots)} kept`], !f.unknown && ['Files', `${count(f.files)}, ${bytes(f.bytes)}${f.files ? ', ' + bytes(f.bytes / f.files) + ' each' : ''}`],
      ['Waiting', `${plural(f.untranslated, 'record')} to be read, ${count(f.uncommitted)} in files`], at.length > 0 && ['Next offset', html`<span title=${at.map(([q, o]) => `partition ${q}: ${o}`).join('\n')}>${at.slice(0, 6).map(([q, o]) => html`<span class="nowrap"><span class="faint">p${q}</span> ${count(o)}</span>  `)}${at.length > 6 ? `and ${at.length - 6} more` : ''}</span>`],
      f.rebuild && ['Rebuild', `${plural(f.rebuild.rows, 'row')} written, ${plural(f.rebuild.behind, 'record')} left`],
      f.kept && f.kept.rounds > 0 && ['Maintenance', f.kept.merged || f.kept.removed || f.kept.error ? `${count(f.kept.merged)} files merged into ${count(f.kept.made)}, ${count(f.kept.removed)} removed${f.kept.error ? ', last: ' + f.kept.error : ''}` : 'nothing to do so far'],
      f.location && ['Place', html`<span class="mono">${f.location}</span>`]]} /></div>`;
}

const classes = [[1 << 14, '16 KiB'], [1 << 17, '128 KiB'], [1 << 20, '1 MiB'], [1 << 23, '8 MiB'], [1 << 26, '64 MiB'], [1 << 28, '256 MiB'], [Infinity, 'more']];

function Files({ name }) {
  const it = useAsk(p`/api/tables/${name}/files`, 15000);
  return html`<div><h2>Files by size</h2><${Loaded} of=${it}>${(all) => (all.length ? all : [null]).map((t) => {
    if (!t) return html`<p class="faint">none yet</p>`;
    const bins = classes.map(([top, label], i) => ({ label, n: t.files.filter((f) => f.size < top && (i === 0 || f.size >= classes[i - 1][0])).length }));
    const most = Math.max(1, ...bins.map((b) => b.n));
    const small = bins.slice(0, 3).reduce((n, b) => n + b.n, 0);
    return html`<div class="panel" style=${{ marginBottom: '10px' }}><div class="chart-head"><span>${t.format} <span class="faint">${t.table}</span></span><b>${plural(t.files.length, 'file')}${t.files.length ? `, ${Math.round((100 * small) / t.files.length)} % below 1 MiB` : ''}</b></div>
      <div class="histogram">${bins.map((b) => html`<span class="faint num">${b.label === 'more' ? 'more' : '< ' + b.label}</span><span>${b.n ? html`<i style=${{ width: (100 * b.n) / most + '%' }}></i>` : null}</span><span class="num">${b.n || ''}</span>`)}</div></div>`;
  })}</${Loaded}></div>`;
}

function History({ name }) {
  const it = useAsk(p`/api/tables/${name}/history`, 15000);
  return html`<div><h2>States</h2><${Loaded} of=${it}>${(all) => !all.length ? html`<p class="faint">none yet</p>` : all.map((t) => html`<h3>${t.format} <span class="faint">${t.table}</span></h3>${t.versions.length ? html`<${Grid} id=${'h' + t.format} rows=${t.versions.slice(0, 12)} columns=${[{ name: 'Id', show: (v) => html`<code>${v.id}</code> ${v.current ? html`<${Badge} kind="accent">current</${Badge}>` : v.readable ? null : html`<${Badge}>gone</${Badge}>`}` }, { name: 'When', show: (v) => html`<${When} ms=${v.time_ms} />` }, { name: 'What', value: (v) => v.operation },
    { name: 'Rows', num: true, value: (v) => (v.rows < 0 ? '–' : count(v.rows)) }, { name: 'Files', num: true, value: (v) => (v.files < 0 ? '–' : count(v.files)) }]} />` : html`<p class="faint">none yet</p>`}`)}</${Loaded}></div>`;
}

function Snippets({ of }) {
  if (!of.length) return null;
  const readers = [...new Set(of.map((s) => s.reader))];
  const on = param('reader') || readers[0];
  return html`<h2>Open it in</h2><div class="segment" style=${{ marginBottom: '8px' }}>${readers.map((r) => html`<button class=${on === r ? 'on' : ''} aria-pressed=${on === r} onClick=${() => setParams({ reader: r })}>${r}</button>`)}</div>
    ${of.filter((s) => s.reader === on).map((s) => html`<h3>${s.format}</h3><${Command} text=${s.text.trim()} />`)}`;
}

