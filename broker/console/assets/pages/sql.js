// SQL over topics and tables: the text, its result, the same for DuckDB, and files of it.
import { html, useEffect, useRef, useState } from '../lib.js';
import { param, setParams } from '../router.js';
import { raw, useAsk } from '../api.js';
import { count, span } from '../format.js';
import { Command, Doing, Empty, Head, Loaded, Trouble, say } from '../parts.js';
import { tokens } from '../json.js';

const exports = [['csv', 'CSV'], ['jsonl', 'JSON lines'], ['parquet', 'Parquet'], ['arrow', 'Arrow']];

export default function SQL() {
  const tables = useAsk('/api/sql/tables');
  const [text, setText] = useState(param('q'));
  const [result, setResult] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [duck, setDuck] = useState('');
  const stop = useRef(null);
  const ran = useRef('');
  const run = async (sql = text) => {
    if (!sql.trim()) return;
    if (stop.current) stop.current.abort();
    const mine = new AbortController();
    stop.current = mine;
    ran.current = sql;
    setParams({ q: sql });
    setBusy(true);
    setError(null);
    setDuck('');
    try {
      // The text of the answer is split into cells as it stands: numbers keep all digits.
      const answer = await raw('/api/sql', { method: 'POST', body: { sql, limit: 1000 }, signal: mine.signal });
      if (stop.current === mine) setResult(cells(answer));
      raw('/api/sql', { method: 'POST', body: { sql, format: 'duckdb' }, signal: mine.signal }).then(setDuck, () => {});
    } catch (e) { if (stop.current === mine) { if (e.name === 'AbortError') setError({ message: 'Stopped.' }); else { setError(e); setResult(null); } } }
    if (stop.current === mine) setBusy(false);
  };
  useEffect(() => () => { if (stop.current) stop.current.abort(); }, []);
  // Who goes back, or follows a link, finds what its address says.
  const asked = param('q');
  useEffect(() => {
    if (asked === ran.current) return;
    ran.current = asked;
    setText(asked);
    if (asked) { run(asked); return; }
    if (stop.current) { stop.current.abort(); stop.current = null; }
    setBusy(false);
    setResult(null);
    setError(null);
    setDuck('');
  }, [asked]);
  const save = async (format) => {
    const blob = await raw('/api/sql', { method: 'POST', body: { sql: text, format, limit: 1000000 }, blob: true });
    const a = document.createElement('a');
    a.href = URL.createObjectURL(/** @type {Blob} */ (blob));
    a.download = 'result.' + format;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
    say('Saved as result.' + format);
  };
  const keys = (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); run(); } };
  return html`<${Head} title="SQL"><span class="soft">topics and tables in one query, live: a record is seen as soon as it is acknowledged</span></${Head}>
    <div class="sql-page"><div class="grow">
      <textarea class="code" rows="7" data-search="1" aria-label="SQL" spellcheck=${false} placeholder="select * from orders order by kafka_timestamp desc limit 20" value=${text} onInput=${(e) => setText(e.target.value)} onKeyDown=${keys}></textarea>
      <div class="bar-line"><button class="main-action" disabled=${busy || !text.trim()} onClick=${() => run()} title="Ctrl Enter">Run</button>${busy && html`<button onClick=${() => stop.current.abort()}>Stop</button>`}
        ${result && !busy && html`<span>${count(result.rows.length)} row${result.rows.length === 1 ? '' : 's'}${result.truncated === 'true' ? ', there are more' : ''} · ${count(Number(result.scanned))} scanned · ${span(Number(result.elapsed) / 1000)}</span>
          <span class="right row"><span class="faint">Export</span>${exports.map(([f, label]) => html`<${Doing} kind="small" run=${() => save(f)}>${label}</${Doing}>`)}</span>`}</div>
      <${Trouble} error=${error} />
      ${result && result.note && !busy && html`<p class="soft">${result.note}</p>`}
      ${result && html`<${Result} of=${result} />`}
      ${duck && !duck.startsWith('--') && html`<h2>The same by DuckDB, on the lake tables</h2><${Command} text=${duck.trim()} />`}
      ${!result && !error && html`<${Empty} title="Ask something">A table's name is its topic; <code>log.orders</code> is only the log, <code>lake.orders</code> only the lake. Choose a table at the right, or run the same from a shell: <code>tarn sql 'select …'</code></${Empty}>`}</div>
      <aside aria-label="Tables" class="tables"><h2 class="minor">Tables</h2><${Loaded} of=${tables}>${(all) => html`<${Tables} all=${all} use=${(sql) => { setText(sql); run(sql); }} />`}</${Loaded}></aside></div>`;
}

/** From so many tables on there is a field to find one. */
const many = 20;

function Tables({ all, use }) {
  const [open, set] = useState('');
  if (!all.length) return html`<p class="faint">There is no topic yet.</p>`;
  const q = param('table').toLowerCase();
  const some = all.filter((t) => t.name.toLowerCase().includes(q));
  return html`${(all.length > many || q) && html`<input type="search" placeholder="Filter tables" aria-label="Filter tables" value=${param('table')} onInput=${(e) => setParams({ table: e.target.value })} />`}
    ${!some.length && html`<p class="faint">No table has “${param('table')}” in its name.</p>`}${some.map((t) => html`<div class="table-item" key=${t.name}><button class="plain small" title=${t.name} aria-expanded=${open === t.name} onClick=${() => set(open === t.name ? '' : t.name)}>${open === t.name ? '▾' : '▸'} <span class="mono cut">${t.name}</span></button>
    ${open === t.name && html`<div class="columns"><div class="row"><button class="small" onClick=${() => use(`select * from ${t.name} order by kafka_timestamp desc limit 20`)}>newest 20</button><button class="small" onClick=${() => use(`select count(*) from ${t.name}`)}>count</button></div>
      <p class="faint">${t.rows}</p>${t.error && html`<p class="bad">${t.error}</p>`}${(t.columns || []).map((c) => html`<div class="row spread"><span class="mono">${c.name}</span><span class="faint">${c.type.toLowerCase()}</span></div>`)}</div>`}</div>`)}`;
}

/**
 * cells splits an answer of /api/sql without making numbers of its digits: columns by
 * name, rows as texts with their kinds.
 */
export function cells(text) {
  const list = tokens(text).filter((t) => t.kind !== 'space');
  const out = { columns: [], rows: [], truncated: '', note: '', scanned: '0', elapsed: '0' };
  let depth = 0;
  let field = '';
  let row = null;
  let column = null;
  for (let i = 0; i < list.length; i++) {
    const t = list[i];
    if (t.text === '{' || t.text === '[') {
      depth++;
      if (field === 'rows' && depth === 3 && t.text === '[') row = [];
      else if (field === 'rows' && row && depth > 3) i = nested(list, i, row, () => { depth--; });
      else if (field === 'columns' && depth === 3) column = {};
    } else if (t.text === '}' || t.text === ']') {
      if (field === 'rows' && depth === 3 && row) { out.rows.push(row); row = null; }
      if (field === 'columns' && depth === 3 && column) { out.columns.push(column); column = null; }
      depth--;
    } else if (t.kind === 'key' && depth === 1) field = JSON.parse(t.text);
    else if (t.kind === 'key' && column) column.last = JSON.parse(t.text);
    else if (t.kind === 'mark') continue;
    else if (column) column[column.last] = t.kind === 'string' ? JSON.parse(t.text) : t.text;
    else if (row) row.push({ kind: t.text === 'null' ? 'null' : t.kind, text: t.kind === 'string' ? JSON.parse(t.text) : t.text });
    else if (depth === 1 && field === 'truncated') out.truncated = t.text;
    else if (depth === 1 && field === 'note') out.note = JSON.parse(t.text);
    else if (depth === 1 && field === 'scanned') out.scanned = t.text;
    else if (depth === 1 && field === 'elapsed_ms') out.elapsed = t.text;
  }
  return out;
}

/** nested takes a value that is an object or a list as its text, and returns its end. */
function nested(list, from, row, close) {
  let depth = 0;
  let text = '';
  let i = from;
  for (; i < list.length; i++) {
    text += list[i].text;
    if ('{['.includes(list[i].text)) depth++;
    if ('}]'.includes(list[i].text) && --depth === 0) break;
  }
  row.push({ kind: 'word', text });
  close();
  return i;
}

function Result({ of }) {
  const numeric = of.columns.map((_, i) => of.rows.length > 0 && of.rows.every((r) => r[i].kind === 'number' || r[i].kind === 'null'));
  return html`<div class="scroll result" tabindex="0" role="region" aria-label="Result"><table class="grid"><thead><tr>${of.columns.map((c, i) => html`<th class=${numeric[i] ? 'num' : ''} title=${c.type}>${c.name}</th>`)}</tr></thead>
    <tbody>${of.rows.slice(0, 1000).map((r) => html`<tr>${r.map((v, i) => html`<td class=${numeric[i] ? 'num' : ''} title=${v.text}>${v.kind === 'null' ? html`<span class="faint">null</span>` : v.text}</td>`)}</tr>`)}</tbody></table></div>${of.rows.length === 0 && html`<p class="faint">No rows.</p>`}`;
}

