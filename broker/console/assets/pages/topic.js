// The tabs of a topic other than its records.
import { html, useEffect, useState } from '../lib.js';
import { A, closeDialog, go, openDialog, openFor, param, url } from '../router.js';
import { ask, listen, p, useAsk, useRights } from '../api.js';
import { bytes, count, plural, span, time } from '../format.js';
import { Act, Badge, Dialog, Doing, Empty, Facts, Find, Grid, Loaded, Sure, Trouble, When, say } from '../parts.js';
import { TableOf } from './tables.js';
import { SubjectOf } from './schemas.js';

export function Partitions({ name, topic, again }) {
  const lacks = useRights('Topic', name);
  if (!topic) return null;
  const total = (f) => topic.partition_list.reduce((n, one) => n + f(one), 0);
  return html`<div class="row" style=${{ marginBottom: '10px' }}><span class="soft">Id <code>${topic.id}</code></span><span class="right"><${Act} why=${lacks('Alter')} onClick=${() => openDialog('partitions')}>Add partitions</${Act}></span></div>
    <${Grid} rows=${topic.partition_list} columns=${[
      { name: 'Partition', key: 'partition', fit: true, value: (r) => r.partition, show: (r) => html`<${A} to=${['topics', name]} params=${{ partition: r.partition }}>${r.partition}</${A}>` },
      { name: 'Start', num: true, value: (r) => count(r.start) }, { name: 'End', num: true, value: (r) => count(r.end) },
      { name: 'Stable', num: true, show: (r) => (r.stable === r.end ? html`<span class="faint">end</span>` : html`<${Badge} kind="warn" title="A transaction is open">${count(r.stable)}</${Badge}>`), title: 'Last stable offset: what readers of committed records see' },
      { name: 'Records', key: 'records', num: true, value: (r) => r.end - r.start, show: (r) => count(r.end - r.start) }, { name: 'Size', key: 'bytes', num: true, value: (r) => r.bytes, show: (r) => bytes(r.bytes) },
      { name: 'Last record', key: 'last', value: (r) => r.last_ms || 0, show: (r) => html`<${When} ms=${r.last_ms} />` },
    ]} /><p class="soft">${plural(total((r) => r.end - r.start), 'record')}, ${bytes(total((r) => r.bytes))} in all.</p>
    ${openFor('partitions') !== null && !lacks('Alter') && html`<${MorePartitions} name=${name} now=${topic.partitions} onClose=${closeDialog} again=${again} />`}`;
}

function MorePartitions({ name, now, onClose, again }) {
  const [total, set] = useState(String(now + 1));
  const send = async () => { await ask(p`/api/topics/${name}/partitions`, { method: 'POST', body: { total: Number(total) } }); say(`${name} has ${total} partitions`); again(); onClose(); };
  return html`<${Dialog} title="Add partitions" onClose=${onClose} actions=${html`<${Doing} kind="main-action" run=${send}>Add</${Doing}>`}>
    <p class="soft">Keys may fall into other partitions from then on, and there is no way back.</p><label class="field">Partitions in all<input value=${total} onInput=${(e) => set(e.target.value)} inputmode="numeric" /></label></${Dialog}>`;
}

export function Schema({ name, topic, again }) {
  if (!topic) return null;
  const mode = (part) => (topic.overrides && topic.overrides[`tarn.${part}.schema.validation`]) || '';
  return html`${['value', 'key'].map((part) => {
    const subject = topic[part + '_subject'];
    return html`<h2 class="row">${part === 'value' ? 'Values' : 'Keys'} <${A} to=${['schemas', subject]}>${subject}</${A}> ${mode(part) && html`<${Badge} kind="accent">validation ${mode(part)}</${Badge}>`}</h2><${SubjectOf} name=${subject} quiet none=${!topic[part + '_version']} part=${part} topic=${name} again=${again} />`;
  })}`;
}

export function Groups({ name }) {
  const it = useAsk(p`/api/groups?topic=${name}`, 3000);
  return html`<${Loaded} of=${it}>${(rows) => (rows.length ? html`<${Grid} rows=${rows} sort="name" onRow=${(g) => go(url(['groups', g.name]))} columns=${[
    { name: 'Group', key: 'name', cls: 'name', value: (g) => g.name, show: (g) => html`<${A} to=${['groups', g.name]}>${g.name}</${A}>` }, { name: 'State', value: (g) => g.state }, { name: 'Members', num: true, value: (g) => g.members },
    { name: 'Lag', key: 'lag', num: true, value: (g) => g.lag, show: (g) => count(g.lag) }, { name: 'Behind', key: 'behind', num: true, value: (g) => g.lag_seconds, show: (g) => (g.lag ? span(g.lag_seconds) : '–'), title: "In the records' own time" },
    { name: 'Last commit', value: (g) => g.commit_ms, show: (g) => html`<${When} ms=${g.commit_ms} />` }]} />`
    : html`<${Empty} title="No group reads this topic" command=${`tarn consume ${name} --group readers`}>A group appears when it commits its first offset.</${Empty}>`)}</${Loaded}>`;
}

export function Config({ name }) {
  const it = useAsk(p`/api/topics/${name}/config`);
  const lacks = useRights('Topic', name);
  const fixed = lacks('AlterConfigs');
  const editing = !fixed && it.data && it.data.find((c) => c.name === openFor('config'));
  const q = param('q').toLowerCase();
  const mine = param('set') === 'true';
  return html`<div class="row" style=${{ marginBottom: '10px' }}><${Find} placeholder="Filter configs" />${fixed && html`<span class="faint">To change one ${fixed}</span>`}<span class="right"><${Act} kind="danger" why=${lacks('Delete')} onClick=${() => openDialog('delete')}>Delete topic</${Act}></span></div>
    <${Loaded} of=${it}>${(all) => html`<${ConfigTable} rows=${all.filter((c) => (c.name + ' ' + c.doc).toLowerCase().includes(q) && (!mine || c.source !== 'default'))} onEdit=${fixed ? undefined : (c) => openDialog('config', c.name)} />`}</${Loaded}>
    ${editing && html`<${EditConfig} of=${editing} path=${p`/api/topics/${name}/config`} onClose=${closeDialog} again=${it.again} />`}
    ${openFor('delete') !== null && !lacks('Delete') && html`<${Sure} title="Delete topic" name=${name} action="Delete" onClose=${closeDialog} run=${async () => { await ask(p`/api/topics/${name}`, { method: 'DELETE' }); say(name + ' is gone'); go(url(['topics'])); }}><p>All its records go. Its tables stay where they are.</p></${Sure}>`}`;
}

/** inWords is a value in ms or bytes as people say it; nothing where that adds nothing. */
export function inWords(name, value) {
  const n = Number(value);
  if (!/^[0-9]+$/.test(value) || n < 1000) return '';
  if (n > Number.MAX_SAFE_INTEGER) return /\.(ms|bytes|messages)$/.test(name) ? 'no limit' : '';
  return /\.ms$/.test(name) ? span(n / 1000) : /(\.|_)bytes(\.|$)/.test(name) && !/rate/.test(name) ? bytes(n) : '';
}

/** ConfigTable lists configs: what is set first. */
export const ConfigTable = ({ rows, onEdit }) => html`<${Grid} rows=${[...rows].sort((a, b) => Number(a.source === 'default') - Number(b.source === 'default'))} onRow=${onEdit} columns=${[
  { name: 'Config', key: 'name', value: (c) => c.name, show: (c) => html`<span class="mono">${c.name}</span>` },
  { name: 'Value', show: (c) => html`<span class=${'mono ' + (c.source === 'default' ? 'soft' : '')}>${c.sensitive ? '••••' : c.value === '' ? html`<span class="faint">none</span>` : c.value}</span>${c.sensitive ? null : html` <span class="faint nowrap">${inWords(c.name, c.value)}</span>`}` },
  { name: 'From', key: 'source', fit: true, value: (c) => c.source, show: (c) => (c.source === 'default' ? html`<span class="faint">default</span>` : html`<${Badge} kind="accent">${c.source}</${Badge}>`) },
  { name: 'Meaning', cls: 'wide', show: (c) => html`<span class="soft">${c.doc.split(/(--[a-z][a-z0-9.-]*[a-z0-9])/).map((t, i) => (i % 2 ? html`<span class="nowrap">${t}</span>` : t))}</span>` },
]} />`;

/** EditConfig changes one config; the broker says at once what it thinks of a value. */
export function EditConfig({ of, path, onClose, again }) {
  const [value, set] = useState(of.value);
  const [error, setError] = useState(null);
  const change = (v, dry) => ask(path, { method: 'PATCH', body: { set: { [of.name]: v }, dry_run: dry } });
  useEffect(() => {
    if (value === of.value) { setError(null); return undefined; }
    let gone = false; // what is said of an earlier value may come after what is said of this one
    const t = setTimeout(() => change(value, true).then(() => { if (!gone) setError(null); }, (e) => { if (!gone) setError(e); }), 250);
    return () => { gone = true; clearTimeout(t); };
  }, [value]);
  const save = async (v) => { await change(v, false); say(of.name + ' is changed'); again(); onClose(); };
  return html`<${Dialog} title=${of.name} onClose=${onClose} actions=${html`${of.source !== 'default' && html`<${Doing} run=${() => save(null)}>Back to the default</${Doing}>`}<${Doing} kind="main-action" disabled=${!!error || value === of.value} run=${() => save(value)}>Save</${Doing}>`}>
    <p class="soft">${of.doc}</p><label class="field">Value<input class="mono" value=${value} onInput=${(e) => set(e.target.value)} /></label>
    <p class="faint">${of.allowed && html`Allowed: ${of.allowed}. `}Default: <code>${of.default === '' ? 'none' : of.default}</code></p><${Trouble} error=${error} /></${Dialog}>`;
}

/** Rejections come in live; the newest stands first. */
export function Rejections({ name }) {
  const report = useAsk(p`/api/topics/${name}/report`, 3000);
  const [rows, setRows] = useState(null);
  const [error, setError] = useState(null);
  const of = openFor('rejection');
  const open = of && rows && rows.find((x) => String(x.seq) === of);
  const [ended, setEnded] = useState(false);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    setEnded(false);
    setError(null);
    const stop = new AbortController();
    let list = [];
    let timer = 0;
    listen(p`/api/topics/${name}/rejections?limit=200`, stop.signal, (event, data) => {
      list = [JSON.parse(data), ...list].slice(0, 500);
      if (!timer) timer = setTimeout(() => { timer = 0; setRows(list); }, 150);
    }).then(() => setEnded(true), (e) => { if (e.name !== 'AbortError') { setError(e); setEnded(true); } });
    const none = setTimeout(() => setRows((r) => r || []), 700);
    return () => { stop.abort(); clearTimeout(timer); clearTimeout(none); };
  }, [name, turn]);
  return html`<${Trouble} error=${error} /><${Loaded} of=${report}>${(r) => html`<div class="cards">
      <div class="card"><div class="label">Checked</div><div class="value">${count(r.checked)}</div></div><div class="card"><div class="label">Rejected</div><div class="value">${count(r.rejected)}</div></div>
      <div class="card"><div class="label">Monitored</div><div class="value">${count(r.monitored)}</div><div class="more">did not fit, were taken</div></div><div class="card"><div class="label">Causes</div><div class="value">${count((r.causes || []).length)}</div></div></div>
    ${(r.causes || []).length > 0 && html`<h2>By cause</h2><${Grid} id="c" rows=${r.causes} columns=${[{ name: 'Records', num: true, fit: true, value: (c) => c.records, show: (c) => count(c.records) }, { name: 'Path', show: (c) => html`<code>${c.path || '–'}</code>` },
      { name: 'Expected', value: (c) => c.expected || c.reason || '–' }, { name: 'Client', show: (c) => html`${c.client} <span class="faint">${c.software} ${c.software_version}</span>` }, { name: 'Subject', value: (c) => c.subject }]} />`}`}</${Loaded}>
    <h2 class="row"><span class=${'dot ' + (ended ? '' : 'live')}></span> Rejections, ${ended ? html`until the broker went away <button class="small" onClick=${() => setTurn(turn + 1)}>Again</button>` : 'live'}</h2>
    ${rows && (rows.length ? html`<${Grid} id="r" rows=${rows} onRow=${(x) => openDialog('rejection', x.seq)} columns=${[{ name: 'Time', fit: true, show: (x) => html`<${When} ms=${Date.parse(x.time)} />` }, { name: 'Client', fit: true, show: (x) => html`${x.client} <span class="faint">${x.software}</span>` },
      { name: 'Path', show: (x) => html`<code>${x.path || x.part}</code>` }, { name: 'Reason', cls: 'wide', show: (x) => html`${x.message} ${x.monitored ? html`<${Badge} kind="warn">taken</${Badge}>` : null}` }]} />`
      : html`<${Empty} title="Nothing was rejected">Records that do not fit the schema appear here as they come, with the reason that most clients drop. Validation is set by <${A} to=${['topics', name, 'config']} params=${{ q: 'schema.validation' }}><code>tarn.value.schema.validation</code></${A}>.</${Empty}>`)}
    ${open && html`<${Dialog} wide title="Rejected record" onClose=${closeDialog}><p><b>${open.message}</b></p><${Facts} of=${[['Time', time(Date.parse(open.time))], ['Path', html`<code>${open.path || '–'}</code>`], ['Expected', open.expected], ['Found', open.found],
      ['Schema', open.subject + (open.version ? ' v' + open.version : '') + (open.schema_id ? ' (id ' + open.schema_id + ')' : '')], open.rule && ['Rule', open.rule], ['Client', `${open.client} (${open.software} ${open.software_version}) at ${open.remote}`], ['In its batch', open.record + (open.more ? `, and ${open.more} more` : '')]]} />
      <h3>The bytes begin</h3><div class="recordbody" tabindex="0"><pre>${open.preview}</pre></div></${Dialog}>`}
    ${of && rows && rows.length > 0 && !open && html`<${Dialog} title="Rejected record" onClose=${closeDialog}><p>It is not among the last that the broker remembers.</p></${Dialog}>`}`;
}

export function Table({ name, topic }) {
  if (!topic) return null;
  return topic.tables.length ? html`<${TableOf} name=${name} />` : html`<${Empty} title="This topic fills no table" command=${`tarn topic alter ${name} -c tarn.table.formats=iceberg,parquet`}>Set <${A} to=${['topics', name, 'config']} params=${{ q: 'tarn.table.formats' }}><code>tarn.table.formats</code></${A}>, or by:</${Empty}>`;
}
