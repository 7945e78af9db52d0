// Clients: who is connected, with what, and what for.
import { html } from '../lib.js';
import { closeDialog, openDialog, openFor, param } from '../router.js';
import { useAsk } from '../api.js';
import { count, time } from '../format.js';
import { Badge, Dialog, Empty, Facts, Find, Grid, Head, Loaded, When } from '../parts.js';

export default function Clients() {
  const it = useAsk('/api/clients', 3000);
  const listeners = useAsk('/api/listeners', 0);
  const of = openFor('client');
  const q = param('q').toLowerCase();
  const text = (c) => [c.client_id, c.software, c.software_version, c.user, c.address, c.listener].join(' ').toLowerCase();
  return html`<${Head} title="Clients"><span class="right"><${Find} placeholder="Filter clients" /></span></${Head}>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((c) => text(c).includes(q))} onRow=${(c) => openDialog('client', c.listener + ' ' + c.address)} keyOf=${(c) => c.listener + c.address} columns=${[
      { name: 'Client id', key: 'id', value: (c) => c.client_id, show: (c) => c.client_id || html`<span class="faint">none</span>` },
      { name: 'Software', key: 'software', value: (c) => c.software + ' ' + c.software_version, show: (c) => (c.software ? html`${c.software} <span class="faint">${c.software_version}</span>` : html`<span class="faint">did not say</span>`) },
      { name: 'User', key: 'user', value: (c) => c.user, show: (c) => (c.user === 'ANONYMOUS' ? html`<span class="faint">anonymous</span>` : c.user) },
      { name: 'Address', value: (c) => c.address, cls: 'mono' }, { name: 'Listener', value: (c) => c.listener, cls: 'soft' },
      { name: 'Does', show: (c) => html`<span class="badges">${does(c.requested).map((d) => html`<${Badge} kind="accent">${d}</${Badge}>`)}</span>` },
      { name: 'Requests', key: 'requests', num: true, value: (c) => c.requests, show: (c) => count(c.requests) },
      { name: 'Connected', key: 'since', value: (c) => Date.parse(c.connected_at), show: (c) => html`<${When} ms=${Date.parse(c.connected_at)} />` },
      { name: 'Last request', key: 'last', value: (c) => Date.parse(c.last_request_at || 0), show: (c) => html`<${When} ms=${c.last_request_at && Date.parse(c.last_request_at)} />` },
    ]} />` : html`<${Empty} title="Nobody is connected" command=${'kcat -b ' + ((listeners.data || [])[0] || { advertised: 'localhost:9092' }).advertised + ' -L'}>Any Kafka client will do:</${Empty}>`)}</${Loaded}>
    <h2>Listeners</h2><${Loaded} of=${listeners}>${(all) => html`<${Grid} id="l" rows=${all} columns=${[{ name: 'Name', fit: true, value: (l) => l.name }, { name: 'Listens on', value: (l) => l.address, cls: 'mono' }, { name: 'Clients are told', value: (l) => l.advertised, cls: 'mono' }]} />`}</${Loaded}>
    ${of && it.data && html`<${Client} of=${it.data.find((c) => c.listener + ' ' + c.address === of)} at=${of} />`}`;
}

function Client({ of: open, at }) {
  if (!open) return html`<${Dialog} title=${at} onClose=${closeDialog}><p>This client is not connected any more.</p></${Dialog}>`;
  return html`<${Dialog} title=${open.client_id || open.address} onClose=${closeDialog}><${Facts} of=${[['Address', open.address], ['User', open.user], ['Software', open.software + ' ' + open.software_version], ['Connected', time(Date.parse(open.connected_at))], ['Requests', count(open.requests)], ['APIs used', html`<span class="badges">${open.requested.map((k) => html`<${Badge}>${k}</${Badge}>`)}</span>`]]} /></${Dialog}>`;
}

/** What a client does, from the APIs that it used. */
function does(keys) {
  const out = [];
  if (keys.includes('Produce')) out.push('produces');
  if (keys.includes('Fetch') || keys.includes('ShareFetch')) out.push('consumes');
  if (keys.includes('JoinGroup') || keys.includes('ConsumerGroupHeartbeat') || keys.includes('ShareGroupHeartbeat')) out.push('in a group');
  if (keys.includes('AddPartitionsToTxn') || keys.includes('EndTxn')) out.push('transactions');
  if (keys.some((k) => /^(Create|Delete|Alter)/.test(k))) out.push('administers');
  return out;
}
