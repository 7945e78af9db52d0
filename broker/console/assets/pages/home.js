// Home: how the broker is, and how it has been.
import { html } from '../lib.js';
import { A, param, url, go } from '../router.js';
import { session, useAsk } from '../api.js';
import { ago, brief, bytes, count, plural, span, time } from '../format.js';
import { Badge, Empty, Facts, Grid, Head, Loaded, Segment } from '../parts.js';
import { Over, useSeries } from '../chart.js';
import { stateKind } from './tables.js';

const rate = (n) => brief(n) + '/s';

/** Cards are numbers with what they mean. */
const Card = ({ label, value, more, to }) => html`<div class="card"><div class="label">${label}</div><div class="value">${to ? html`<${A} to=${to}>${value}</${A}>` : value}</div><div class="more">${more || html`<span> </span>`}</div></div>`;

/** freshness is what the oldest table shows; nothing waits where it is none behind. */
const freshness = (seconds) => (seconds === 0 ? 'now' : span(seconds));
/** Tables that wait for something do not count in it. */
const halted = (tables) => { const n = tables.filter((t) => t.state !== 'running').length; return n ? html`<span class="warn">${count(n)} not running</span>` : ''; };

export default function Home() {
  const it = useAsk('/api/overview', 3000);
  const range = param('span') || '5m';
  const points = useSeries(session.value.cluster ? ['records', 'lag', 'rejections', 'freshness', 'waiting', 'clients'] : [], range).data;
  const topics = useAsk('/api/topics', 5000);
  const newest = (name) => points && (points.series[name] || []).findLast((v) => v !== null);
  return html`<${Head} title="Home">${session.value.cluster && html`<span class="right"><${Segment} name="span" fallback="5m" options=${[['5m', '5 min'], ['1h', '1 h'], ['24h', '24 h']]} /></span>`}</${Head}>
    <${Loaded} of=${it}>${(o) => html`
      <div class="row" style=${{ marginBottom: '12px' }}>${(o.checks || []).map((c) => html`<span class="badge ${c.ok ? 'good' : 'bad'}" title=${c.message || 'in order'}>${c.ok ? '✓' : '✕'} ${c.name}${c.ok ? '' : ': ' + c.message}</span>`)}
        <span class="faint">up ${span((Date.now() - o.started_ms) / 1000)}</span></div>
      <div class=${o.partial ? 'cards three' : 'cards eight'}>
        ${!o.partial && html`<${Card} label="Records in" value=${newest('records') === undefined ? '–' : rate(newest('records'))} more=${plural(o.partitions, 'partition')} />`}
        <${Card} label="Topics" value=${count(o.topics)} to=${['topics']} more=${o.partial ? plural(o.partitions, 'partition') : plural(o.subjects, 'subject')} />
        ${o.partial ? html`<${Card} label="Groups" value=${count(o.groups)} to=${['groups']} />` : html`<${Card} label="Lag of all groups" value=${newest('lag') === undefined ? '–' : brief(newest('lag'))} to=${['groups']} more=${plural(o.groups, 'group')} />`}
        ${o.partial ? html`<${Card} label="Tables" value=${count(o.tables.length)} to=${['tables']} />` : html`<${Card} label="Rejected" value=${brief(o.rejected)} more="since the start" />
        <${Card} label="Tables fresh to" value=${o.tables.length ? freshness(newest('freshness')) : '–'} to=${['tables']} more=${halted(o.tables) || plural(o.tables.length, 'table')} />
        <${Card} label="Clients" value=${count(o.clients)} to=${['clients']} more="connections" />
        <${Card} label="Memory" value=${o.resident ? bytes(o.resident) : '–'} more="resident" />
        <${Card} label="Disk free" value=${o.disk_free >= 0 ? bytes(o.disk_free) : '–'} more=${o.disk_total > 0 ? 'of ' + bytes(o.disk_total) : ''} />`}
      </div>
      ${o.partial ? html`<p class="soft">Topics, groups and tables are those that you may describe. Who may describe the cluster sees more here.</p>` : html`<div class="charts four">
        <${Over} points=${points} name="records" label="Records in, per second" show=${brief} />
        <${Over} points=${points} name="lag" label="Lag of all groups, records" show=${brief} />
        <${Over} points=${points} name="rejections" label="Rejected, per second" show=${brief} />
        <${Over} points=${points} name="freshness" label="Oldest table, behind its log" show=${span} />
      </div>`}
      <div class="halves home">
        <div><h2>Topics with lag</h2>${topics.data && topLag(topics.data)}</div>
        <div><h2>Tables</h2>${o.tables.length ? html`<${Grid} id="t" rows=${byTopic(o.tables).slice(0, most)} keyOf=${(t) => t.topic} onRow=${(t) => go(url(['tables', t.topic]))} columns=${[
          { name: 'Topic', show: (t) => html`<${A} to=${['tables', t.topic]}>${t.topic}</${A}>` },
          { name: 'Formats', roomy: true, show: (t) => html`<span class="badges">${t.formats.map((f) => html`<${Badge} kind=${stateKind(f.state)} title=${f.state.replaceAll('_', ' ')}>${f.format}</${Badge}>`)}</span>` },
          { name: 'State', show: (t) => html`<${Badge} kind=${stateKind(t.state)}>${t.state.replaceAll('_', ' ')}</${Badge}>` },
          { name: 'Fresh to', num: true, show: (t) => (t.fresh_ms ? ago(t.fresh_ms) : '–') }, { name: 'Waiting', num: true, value: (t) => count(t.waiting) },
        ]} />${byTopic(o.tables).length > most && html`<p class="soft">Those that need a look come first. <${A} to=${['tables']}>All ${count(byTopic(o.tables).length)}</${A}></p>`}` : html`<${Empty} title="No topic fills a table yet" command="tarn topic create orders -c tarn.table.formats=iceberg,parquet">A topic with table formats is written to the lake as records come in.</${Empty}>`}</div>
      </div>
      <h2>This broker</h2>
      <div class="panel"><${Facts} of=${[['Kafka', html`<code>${o.kafka}</code>`], ['HTTP', html`<code>${location.origin}</code>  registry, <a href="/api" target="_blank">API</a>${!o.partial && html`, <a href="/metrics" target="_blank">metrics</a>`}`],
        ['Log', o.storage === 'memory' ? 'in memory: gone when this process ends' : o.partial ? 'SQLite, kept across restarts' : html`SQLite in <code>${o.data}</code>, kept across restarts`], o.warehouse && ['Tables', html`<code>${o.warehouse}</code>`],
        ['Version', 'tarn ' + o.version], o.cluster_id && ['Cluster', html`<code>${o.cluster_id}</code>`], ['Since', time(o.started_ms)]]} /></div>`}</${Loaded}>`;
}

/** How many topics with tables Home shows. */
const most = 12;

/** byTopic puts the tables of a topic into one row, which says the worst of them; the worst topics come first. */
function byTopic(tables) {
  const all = new Map();
  const rank = { good: 0, warn: 1, bad: 2 };
  for (const t of tables) {
    const row = all.get(t.topic);
    if (!row) { all.set(t.topic, { ...t, formats: [t] }); continue; }
    row.formats.push(t);
    if (rank[stateKind(t.state)] > rank[stateKind(row.state)]) row.state = t.state;
    row.fresh_ms = Math.min(row.fresh_ms || t.fresh_ms, t.fresh_ms || row.fresh_ms);
    row.waiting = Math.max(row.waiting, t.waiting);
  }
  return [...all.values()].sort((a, b) => rank[stateKind(b.state)] - rank[stateKind(a.state)]);
}

function topLag(list) {
  const behind = list.filter((t) => t.lag > 0).sort((a, b) => b.lag - a.lag).slice(0, 8);
  if (!list.some((t) => !t.internal)) return html`<${Empty} title="No topics yet" command="tarn demo">Seed three topics with data that keeps coming, and watch tables fill.</${Empty}>`;
  if (!behind.length) return html`<${Empty} title="Nobody is behind">All groups are at the end of their topics.</${Empty}>`;
  const deepest = behind[0].lag;
  return html`<${Grid} id="b" rows=${behind} columns=${[{ name: 'Topic', show: (t) => html`<${A} to=${['topics', t.name, 'groups']}>${t.name}</${A}>` }, { name: 'Groups', num: true, value: (t) => t.groups },
    { name: 'Lag', num: true, show: (t) => count(t.lag) }, { name: 'Beside the most', show: (t) => html`<div class="bar"><i style=${{ width: (100 * t.lag) / deepest + '%' }}></i></div>` }]} />`;
}

