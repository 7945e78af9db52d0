// Groups: who reads, how far behind, and setting offsets with a look before.
import { html, useEffect, useState } from '../lib.js';
import { A, closeDialog, go, openDialog, openFor, param, parts, url } from '../router.js';
import { ask, p, useAsk, useRights } from '../api.js';
import { brief, count, plural, sh, span } from '../format.js';
import { Act, Badge, CopyAs, Dialog, Doing, Empty, Find, Grid, Head, Loaded, Segment, Sure, Trouble, When, say } from '../parts.js';
import { Over, useSeries } from '../chart.js';

export default function Groups() {
  const [, name] = parts.value;
  return name === undefined ? html`<${List} />` : html`<${One} key=${name} name=${name} />`;
}

const kind = (state) => ({ Stable: 'good', STABLE: 'good', Empty: '', Dead: 'bad' }[state] ?? 'warn');

/** Stuck says that nothing was committed for a while although there is lag. */
const stuck = (g) => g.lag > 0 && g.commit_ms > 0 && Date.now() - g.commit_ms > 60000;

function List() {
  const it = useAsk('/api/groups', 3000);
  const q = param('q').toLowerCase();
  return html`<${Head} title="Groups"><span class="right"><${Find} placeholder="Filter groups" /></span></${Head}>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((g) => (g.name + ' ' + g.topics.join(' ')).toLowerCase().includes(q))} sort="name" onRow=${(g) => go(url(['groups', g.name]))} columns=${[
      { name: 'Group', key: 'name', cls: 'name', value: (g) => g.name, show: (g) => html`<${A} to=${['groups', g.name]}>${g.name}</${A}>` },
      { name: 'State', key: 'state', value: (g) => g.state, show: (g) => html`<${Badge} kind=${kind(g.state)}>${g.state}</${Badge}>` },
      { name: 'Type', value: (g) => g.type, cls: 'soft' }, { name: 'Members', key: 'members', num: true, value: (g) => g.members },
      { name: 'Topics', show: (g) => html`<span class="badges">${g.topics.slice(0, 6).map((t) => html`<${A} to=${['topics', t]}><${Badge}>${t}</${Badge}></${A}>`)}${g.topics.length > 6 ? html`<${Badge}>+${g.topics.length - 6}</${Badge}>` : null}</span>` },
      { name: 'Lag', key: 'lag', num: true, value: (g) => g.lag, show: (g) => (g.lag ? count(g.lag) : html`<span class="faint">0</span>`) },
      { name: 'Behind', key: 'behind', num: true, value: (g) => g.lag_seconds, show: (g) => (g.lag ? span(g.lag_seconds) : html`<span class="faint">–</span>`), title: "In the records' own time" },
      { name: 'Last commit', key: 'commit', value: (g) => g.commit_ms, show: (g) => html`<${When} ms=${g.commit_ms} /> ${stuck(g) ? html`<${Badge} kind="warn">stuck</${Badge}>` : null}` },
    ]} />` : html`<${Empty} title="No groups yet" command="tarn consume orders --group readers">A group appears when a consumer joins it.</${Empty}>`)}</${Loaded}>`;
}

function One({ name }) {
  const it = useAsk(p`/api/groups/${name}`, 3000);
  const range = param('span') || '5m';
  const points = useSeries(['group:' + name], range).data;
  const lacks = useRights('Group', name);
  const g = it.data;
  return html`<${Head} trail=${[['Groups', 'groups']]} title=${name}>${g && html`<${Badge} kind=${kind(g.state)}>${g.state}</${Badge}><span class="soft">${g.type}${g.protocol ? ', ' + g.protocol : ''} · ${plural(g.members, 'member')}</span>`}
      <span class="right row"><${Segment} name="span" fallback="5m" options=${[['5m', '5 min'], ['1h', '1 h'], ['24h', '24 h']]} /><${CopyAs} texts=${() => ({ tarn: `tarn group describe ${sh(name)}`, kafka: `${g && g.type === 'share' ? 'kafka-share-groups.sh' : 'kafka-consumer-groups.sh'} --bootstrap-server BROKER --describe --group ${sh(name)}`, curl: `curl '${location.origin}${p`/api/groups/${name}`}'` })} />
      ${!(it.error && it.error.status === 404) && html`<${Act} why=${lacks('Read')} disabled=${!g} onClick=${() => openDialog('offsets')}>Set offsets</${Act}><${Act} kind="danger" why=${lacks('Delete')} disabled=${!g || g.members > 0} title=${g && g.members ? 'It has members' : ''} onClick=${() => openDialog('delete')}>Delete</${Act}>`}</span></${Head}>
    ${it.error && it.error.status === 404 ? html`<${Empty} title=${'There is no group ' + name}>It may have been deleted, or its offsets have expired. <${A} to=${['groups']}>All groups</${A}></${Empty}>` : html`<${Loaded} of=${it}>${(d) => html`
      <div class="cards"><div class="card"><div class="label">Lag</div><div class="value">${count(d.lag)}</div><div class="more">records</div></div>
        <div class="card"><div class="label">Behind</div><div class="value">${d.lag ? span(d.lag_seconds) : '0 s'}</div><div class="more">in the records' own time</div></div>
        ${d.type === 'share' ? html`<div class="card"><div class="label">With members</div><div class="value">${count(sumOf(d.shares || [], 'acquired'))}</div><div class="more">${count(sumOf(d.shares || [], 'waiting'))} given back, to be delivered again</div></div>`
    : html`<div class="card"><div class="label">Last commit</div><div class="value"><${When} ms=${d.commit_ms} /></div><div class="more">${stuck(d) ? html`<span class="warn">has not moved since</span>` : html`<span> </span>`}</div></div>`}
        <div class="card"><div class="label">${d.type === 'classic' ? 'Generation' : 'Epoch'}</div><div class="value">${d.generation}</div></div></div>
      <div class="charts"><${Over} points=${points} name=${'group:' + name} label="Lag, records" show=${brief} /></div>
      <h2>Partitions</h2>${d.shares ? html`<${Shares} of=${d.shares} />` : d.partitions.length ? html`<${Grid} id="p" rows=${d.partitions} columns=${[
        { name: 'Topic', key: 'topic', cls: 'name', value: (r) => r.topic, show: (r) => html`<${A} to=${['topics', r.topic]}>${r.topic}</${A}>` }, { name: 'Partition', num: true, key: 'partition', value: (r) => r.partition },
        { name: 'Committed', num: true, value: (r) => r.committed, show: (r) => r.committed < 0 ? html`<span class="faint">none</span>` : html`<${A} to=${['topics', r.topic]} params=${{ partition: r.partition, order: 'oldest', at: r.committed }} title="The records that come next">${count(r.committed)}</${A}>` }, { name: 'End', num: true, value: (r) => count(r.end) },
        { name: 'Lag', num: true, key: 'lag', value: (r) => r.lag, show: (r) => (r.lag ? count(r.lag) : html`<span class="faint">0</span>`) }, { name: 'Behind', num: true, key: 'behind', value: (r) => r.lag_seconds, show: (r) => (r.lag ? span(r.lag_seconds) : html`<span class="faint">–</span>`) },
        { name: 'Committed at', value: (r) => r.commit_ms, show: (r) => html`<${When} ms=${r.commit_ms} />` }, { name: 'Member', show: (r) => (r.member ? html`${r.client} <span class="faint">${r.host}</span>` : html`<span class="faint">none</span>`) },
      ]} />` : html`<${Empty} title=${d.type === 'share' ? 'It has taken nothing yet' : 'It has committed nothing yet'}>Lag is known from the first ${d.type === 'share' ? 'record' : 'commit'} on.</${Empty}>`}
      <h2>Members</h2>${d.member_list.length ? html`<${Grid} id="m" rows=${d.member_list} columns=${[{ name: 'Client', value: (m) => m.client_id }, { name: 'Host', value: (m) => m.host }, { name: 'Member', show: (m) => html`<code class="soft">${m.id}</code> ${m.instance_id ? html`<${Badge}>static ${m.instance_id}</${Badge}>` : null}${m.id === d.leader ? html` <${Badge} kind="accent">leader</${Badge}>` : null}` },
        ...(d.type === 'share' ? [{ name: 'Records in work', num: true, value: (m) => count(m.acquired || 0) }] : []),
        { name: 'Partitions', show: (m) => html`<span class="badges">${Object.entries(m.partitions).map(([t, ps]) => html`<${Badge}>${t}: ${ps.join(', ')}</${Badge}>`)}</span>` }]} />` : html`<p class="faint">None: its offsets can be set.</p>`}`}</${Loaded}>`}
    ${openFor('offsets') !== null && g && !lacks('Read') && html`<${Seek} g=${g} onClose=${closeDialog} again=${it.again} />`}
    ${openFor('delete') !== null && g && !lacks('Delete') && html`<${Sure} title="Delete group" name=${name} action="Delete" onClose=${closeDialog} run=${async () => { await ask(p`/api/groups/${name}`, { method: 'DELETE' }); say(name + ' is gone'); go(url(['groups'])); }}><p>Its offsets go. Who reads as this group begins where a new one does.</p></${Sure}>`}`;
}

const sumOf = (rows, key) => rows.reduce((n, r) => n + r[key], 0);

/** Shares are the partitions of a share group, whose records go to members one by one. */
const Shares = ({ of }) => html`<${Grid} id="p" rows=${of} columns=${[
    { name: 'Topic', key: 'topic', cls: 'name', value: (r) => r.topic, show: (r) => html`<${A} to=${['topics', r.topic]}>${r.topic}</${A}>` }, { name: 'Partition', num: true, key: 'partition', value: (r) => r.partition },
    { name: 'Done before', num: true, value: (r) => r.start, title: 'All records before this offset are done', show: (r) => html`<${A} to=${['topics', r.topic]} params=${{ partition: r.partition, order: 'oldest', at: r.start }} title="The first record that is not done">${count(r.start)}</${A}>` },
    { name: 'Next', num: true, value: (r) => count(r.next), title: 'The first offset that nobody has been given' }, { name: 'End', num: true, value: (r) => count(r.end) },
    { name: 'Lag', num: true, key: 'lag', value: (r) => r.lag, show: (r) => (r.lag ? count(r.lag) : html`<span class="faint">0</span>`) }, { name: 'Behind', num: true, key: 'behind', value: (r) => r.lag_seconds, show: (r) => (r.lag ? span(r.lag_seconds) : html`<span class="faint">–</span>`) },
    { name: 'With members', num: true, key: 'acquired', value: (r) => r.acquired }, { name: 'Given back', num: true, key: 'waiting', value: (r) => r.waiting, show: (r) => (r.waiting ? html`<span class="warn">${count(r.waiting)}</span>` : '0') },
    { name: 'Deliveries so far', show: (r) => html`<span class="badges">${Object.entries(r.deliveries).map(([n, records]) => html`<${Badge} kind=${Number(n) > 2 ? 'bad' : Number(n) > 1 ? 'warn' : ''} title=${plural(records, 'record') + ', delivered ' + plural(Number(n), 'time')}>${n}×: ${count(records)}</${Badge}>`)}</span>` },
  ]} />`;

function Seek({ g, onClose, again }) {
  const [topic, setTopic] = useState(g.topics[0] || '');
  const [to, setTo] = useState('start');
  const [partition, setPartition] = useState('');
  const [plan, setPlan] = useState(null);
  const [error, setError] = useState(null);
  const send = (dry) => ask(p`/api/groups/${g.name}/offsets`, { method: 'POST', body: { topic, to, dry_run: dry, ...(partition !== '' ? { partition: Number(partition) } : {}) } });
  useEffect(() => {
    if (!topic || !to) { setPlan(null); return undefined; }
    let gone = false;
    const t = setTimeout(() => send(true).then((x) => { if (!gone) { setPlan(x); setError(null); } }, (e) => { if (!gone) { setPlan(null); setError(e); } }), 250);
    return () => { gone = true; clearTimeout(t); };
  }, [topic, to, partition]);
  const apply = async () => { await send(false); say('Offsets of ' + g.name + ' are set'); again(); onClose(); };
  const sum = (k) => plan.partitions.reduce((n, r) => n + r[k], 0);
  return html`<${Dialog} wide title=${'Set offsets of ' + g.name} onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${!plan || plan.blocked || !plan.partitions.some((r) => r.before !== r.after)} run=${apply}>Set offsets</${Doing}>`}>
    <div class="row"><label class="field">Topic<input value=${topic} list="group-topics" onInput=${(e) => setTopic(e.target.value)} /><datalist id="group-topics">${g.topics.map((t) => html`<option value=${t} />`)}</datalist></label>
      <label class="field grow">To<input class="mono" value=${to} onInput=${(e) => setTo(e.target.value.trim())} placeholder="start, end, 1234, -1h, 2026-01-31T12:00:00Z" /></label>
      <span class="segment" style=${{ alignSelf: 'end' }}>${['start', 'end', '-1h', '-24h'].map((w) => html`<button class=${to === w ? 'on' : ''} onClick=${() => setTo(w)}>${w}</button>`)}</span>
      <label class="field">Partition<input value=${partition} style=${{ width: '80px' }} placeholder="all" onInput=${(e) => setPartition(e.target.value)} /></label></div>
    <${Trouble} error=${error} />${plan && plan.blocked && html`<div class="note warn" role="alert">${plan.blocked}</div>`}
    ${plan && html`<h3>What changes</h3><${Grid} id="s" rows=${plan.partitions} columns=${[{ name: 'Partition', num: true, fit: true, value: (r) => r.partition }, { name: 'Before', num: true, value: (r) => (r.before === null ? 'none' : count(r.before)) }, { name: 'After', num: true, show: (r) => html`<b>${count(r.after)}</b>` },
      { name: 'Read again', num: true, show: (r) => (r.again ? html`<span class="warn">${count(r.again)}</span>` : '0') }, { name: 'Skipped', num: true, show: (r) => (r.skipped ? html`<span class="bad">${count(r.skipped)}</span>` : '0') }, { name: 'Log', num: true, show: (r) => html`<span class="faint">${count(r.start)} to ${count(r.end)}</span>` }]} />
      <p class="soft">${plural(sum('again'), 'record')} will be read again, ${count(sum('skipped'))} will be skipped.</p>`}</${Dialog}>`;
}
