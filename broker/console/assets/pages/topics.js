// Topics: the list, and the page of one topic with its tabs.
import { html, useState } from '../lib.js';
import { A, closeDialog, go, openDialog, openFor, param, parts, setParams, url } from '../router.js';
import { ask, p, useAsk, useRights } from '../api.js';
import { brief, bytes, count, plural, sh } from '../format.js';
import { Act, Badge, Dialog, Doing, Empty, Find, Grid, Head, Loaded, Tabs, Trouble, When, say } from '../parts.js';
import { useSeries } from '../chart.js';
import Records from './records.js';
import { Config, Groups, Partitions, Rejections, Schema, Table } from './topic.js';

export default function Topics() {
  const [, name, tab] = parts.value;
  return name === undefined ? html`<${List} />` : html`<${One} key=${name} name=${name} tab=${tab || ''} />`;
}

function List() {
  const it = useAsk('/api/topics', 3000);
  const series = useSeries(['topic:*'], '5m').data;
  const rate = (name) => { const l = series && series.series['topic:' + name]; return l ? l.findLast((v) => v !== null) : undefined; };
  const lacks = useRights('Topic');
  const q = param('q').toLowerCase();
  const internal = param('internal') === 'true';
  return html`<${Head} title="Topics"><span class="right row"><label class="check soft"><input type="checkbox" checked=${internal} onChange=${(e) => setParams({ internal: e.target.checked })} />internal</label><${Find} placeholder="Filter topics" />
      <${Act} kind="main-action" why=${lacks('Create')} onClick=${() => openDialog('new')}>New topic</${Act}></span></${Head}>
    <${Loaded} of=${it}>${(all) => {
      const rows = all.filter((t) => (internal || !t.internal) && t.name.toLowerCase().includes(q));
      if (!all.some((t) => !t.internal) && !internal) return html`<${Empty} title="No topics yet" command="tarn demo">Make one here, let any Kafka client produce, or seed data that keeps coming:</${Empty}>`;
      return html`<${Grid} rows=${rows} sort="name" onRow=${(t) => go(url(['topics', t.name]))} columns=${[
        { name: 'Name', key: 'name', cls: 'name', value: (t) => t.name, show: (t) => html`<${A} to=${['topics', t.name]}>${t.name}</${A}> ${t.internal ? html`<${Badge}>internal</${Badge}>` : null}` },
        { name: 'Partitions', key: 'partitions', num: true, value: (t) => t.partitions, show: (t) => count(t.partitions) },
        { name: 'Records', key: 'records', num: true, value: (t) => t.records, show: (t) => count(t.records), title: 'Offsets between start and end' },
        { name: 'In /s', key: 'rate', num: true, value: (t) => rate(t.name) ?? -1, show: (t) => { const r = rate(t.name); return r === undefined ? html`<span class="faint">–</span>` : r ? brief(r) : html`<span class="faint">0</span>`; } },
        { name: 'Size', key: 'bytes', num: true, value: (t) => t.bytes, show: (t) => bytes(t.bytes) },
        { name: 'Groups', key: 'groups', num: true, value: (t) => t.groups, show: (t) => (t.groups ? count(t.groups) : html`<span class="faint">0</span>`) },
        { name: 'Lag', key: 'lag', num: true, value: (t) => t.lag, show: (t) => (t.lag ? html`<${A} to=${['topics', t.name, 'groups']}>${count(t.lag)}</${A}>` : html`<span class="faint">0</span>`), title: 'Of all groups that read it' },
        { name: 'Rejected', key: 'rejected', num: true, value: (t) => t.rejected, show: (t) => (t.rejected ? html`<${A} to=${['topics', t.name, 'rejections']} class="bad">${count(t.rejected)}</${A}>` : html`<span class="faint">0</span>`), title: 'Since the broker started' },
        { name: 'Tables', show: (t) => html`<span class="badges">${t.tables.map((f) => html`<${Badge} kind="accent">${f}</${Badge}>`)}</span>` },
        { name: 'Cleanup', key: 'cleanup', value: (t) => t.cleanup, cls: 'soft' },
      ]} />`;
    }}</${Loaded}>
    ${openFor('new') !== null && !lacks('Create') && html`<${Create} onClose=${closeDialog} />`}`;
}

function Create({ onClose }) {
  const [name, setName] = useState('');
  const [partitions, setPartitions] = useState('');
  const [formats, setFormats] = useState([]);
  const [validation, setValidation] = useState('');
  const [more, setMore] = useState('');
  const [error, setError] = useState(null);
  const body = () => {
    const configs = {};
    if (formats.length) configs['tarn.table.formats'] = formats.join(',');
    if (validation) configs['tarn.value.schema.validation'] = validation;
    for (const line of more.split('\n')) { const at = line.indexOf('='); if (at > 0) configs[line.slice(0, at).trim()] = line.slice(at + 1).trim(); }
    return { name, partitions: Number(partitions) || 0, configs };
  };
  const send = async () => {
    setError(null);
    try { await ask('/api/topics', { method: 'POST', body: body() }); } catch (e) { setError(e); return; }
    say(name + ' is there');
    go(url(['topics', name])); // instead of the dialog
  };
  const toggle = (f) => setFormats(formats.includes(f) ? formats.filter((x) => x !== f) : [...formats, f]);
  return html`<${Dialog} title="New topic" onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${!name} run=${send}>Create</${Doing}>`}>
    <div class="column"><div class="row"><label class="field grow">Name<input value=${name} onInput=${(e) => setName(e.target.value)} placeholder="orders" /></label>
      <label class="field">Partitions<input value=${partitions} onInput=${(e) => setPartitions(e.target.value)} placeholder="default" inputmode="numeric" style=${{ width: '90px' }} /></label></div>
    <div class="row"><span class="soft">Tables</span>${['iceberg', 'delta', 'parquet'].map((f) => html`<label class="check"><input type="checkbox" checked=${formats.includes(f)} onChange=${() => toggle(f)} />${f}</label>`)}</div>
    <label class="field">Values are held to their schema<select value=${validation} onChange=${(e) => setValidation(e.target.value)}><option value="">as the broker's default says</option>${['off', 'id', 'payload', 'monitor'].map((v) => html`<option value=${v}>${v}</option>`)}</select></label>
    <label class="field">More configs, KEY=VALUE a line<textarea class="code" rows="3" value=${more} onInput=${(e) => setMore(e.target.value)} placeholder="retention.ms=604800000"></textarea></label>
    <${Trouble} error=${error} /></div></${Dialog}>`;
}

function One({ name, tab: asked }) {
  const tab = asked === 'records' ? '' : asked;
  const it = useAsk(p`/api/topics/${name}`, 4000);
  const t = it.data;
  const tabs = [['', 'Records'], ['partitions', 'Partitions'], ['schema', 'Schema'], ['groups', 'Groups'], ['config', 'Config'], ['rejections', 'Rejections', t && t.rejected ? brief(t.rejected) : ''], ['table', 'Table']];
  const views = { '': Records, partitions: Partitions, schema: Schema, groups: Groups, config: Config, rejections: Rejections, table: Table };
  const View = views[tab];
  return html`<${Head} trail=${[['Topics', 'topics']]} title=${name}>${t && html`<span class="soft row">${plural(t.records, 'record')} · ${bytes(t.bytes)} · ${plural(t.partitions, 'partition')} ${t.last_ms ? html`· last record <${When} ms=${t.last_ms} />` : null}</span>`}</${Head}>
    <${Tabs} base=${['topics', name]} tabs=${tabs} on=${tab} />
    ${it.error && !t ? (it.error.status === 404 ? html`<${Empty} title=${'There is no topic ' + name} command=${'tarn topic create ' + sh(name)}>It may have been deleted. <${A} to=${['topics']}>All topics</${A}>, or make it:</${Empty}>` : html`<${Trouble} error=${it.error} />`) : View ? html`<${View} name=${name} topic=${t} again=${it.again} />` : html`<p>There is no such part of a topic. <${A} to=${['topics', name]}>Its records</${A}></p>`}`;
}
