// Security: users, access rules and quotas.
import { html, useState } from '../lib.js';
import { closeDialog, openDialog, openFor, param, parts } from '../router.js';
import { ask, p, session, useAsk, useRights } from '../api.js';
import { bytes, count } from '../format.js';
import { Act, Badge, Dialog, Doing, Empty, Find, Grid, Head, Loaded, Sure, Tabs, Trouble, say } from '../parts.js';

export default function Security() {
  const tab = parts.value[1] || '';
  return html`<${Head} title="Security">${session.value.needed ? null : html`<${Badge} kind="warn" title="--http.auth is not set">HTTP asks nobody who they are</${Badge}>`}<span class="right"><${Find} /></span></${Head}>
    <${Tabs} base=${['security']} on=${tab} tabs=${[['', 'Users'], ['rules', 'Access rules'], ['quotas', 'Quotas']]} />
    ${{ '': html`<${Users} />`, rules: html`<${Rules} />`, quotas: html`<${Quotas} />` }[tab] || html`<p>There is nothing at <code>${parts.value.join('/')}</code>.</p>`}`;
}

function Users() {
  const it = useAsk('/api/users');
  const [editing, removing] = [openFor('user'), openFor('delete')];
  const why = useRights('Cluster')('Alter');
  const q = param('q').toLowerCase();
  return html`<div class="row" style=${{ marginBottom: '10px' }}><span class="right"><${Act} kind="main-action" why=${why} onClick=${() => openDialog('user')}>New user</${Act}></span></div>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((u) => u.name.toLowerCase().includes(q))} sort="name" columns=${[{ name: 'User', key: 'name', cls: 'name', value: (u) => u.name }, { name: 'Signs in by', show: (u) => html`<span class="badges">${u.credentials.map((c) => html`<${Badge}>${c.mechanism} <span class="faint">${c.iterations}</span></${Badge}>`)}</span>` },
      { name: '', fit: true, show: (u) => html`<${Act} kind="small" why=${why} onClick=${() => openDialog('user', u.name)}>Password</${Act}> <${Act} kind="small danger" why=${why} onClick=${() => openDialog('delete', u.name)}>Delete</${Act}>` }]} />`
      : html`<${Empty} title="No users" command="echo PASSWORD | tarn user create alice">They sign in to Kafka (SCRAM, PLAIN), to HTTP and here. Listeners ask for them with <code>--kafka.sasl.mechanisms</code>, HTTP with <code>--http.auth</code>.</${Empty}>`)}</${Loaded}>
    ${editing !== null && !why && html`<${User} key=${editing} of=${{ name: editing }} onClose=${closeDialog} again=${it.again} />`}
    ${removing && !why && html`<${Sure} title="Delete user" name=${removing} action="Delete" onClose=${closeDialog} run=${async () => { await ask(p`/api/users/${removing}`, { method: 'DELETE' }); say(removing + ' is gone'); it.again(); }}><p>Rules for this user stay, and count again if there is one of the name.</p></${Sure}>`}`;
}

function User({ of, onClose, again }) {
  const [name, setName] = useState(of.name);
  const [password, setPassword] = useState('');
  const send = async () => { await ask(p`/api/users/${name}`, { method: 'PUT', body: { password } }); say(name + ' may sign in'); again(); onClose(); };
  return html`<${Dialog} title=${of.name ? 'Password of ' + of.name : 'New user'} onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${!name || !password} run=${send}>Save</${Doing}>`}><div class="column">
    ${!of.name && html`<label class="field">Name<input value=${name} autocomplete="off" onInput=${(e) => setName(e.target.value)} /></label>`}<label class="field">Password<input type="password" autocomplete="new-password" value=${password} onInput=${(e) => setPassword(e.target.value)} /></label></div></${Dialog}>`;
}

const resources = ['Topic', 'Group', 'Cluster', 'TransactionalId', 'DelegationToken', 'User', 'Subject'];
const operations = ['All', 'Read', 'Write', 'Create', 'Delete', 'Alter', 'Describe', 'ClusterAction', 'DescribeConfigs', 'AlterConfigs', 'IdempotentWrite', 'CreateTokens', 'DescribeTokens'];

/** useRules asks for all rules; the list is asked for by POST. */
function useRules() {
  const [turn, setTurn] = useState(0);
  const [state, set] = useState({ data: null, error: null });
  const [asked, setAsked] = useState(-1);
  if (asked !== turn) {
    setAsked(turn);
    ask('/api/acls/list', { method: 'POST', body: {} }).then((data) => set({ data: data || [], error: null }), (error) => set({ data: null, error }));
  }
  return { ...state, again: () => setTurn(turn + 1) };
}

function Rules() {
  return session.value.rules ? html`<${RuleList} />` : html`<${Empty} title="No access rules are in force" command="tarn serve --auth.acl --kafka.sasl.mechanisms=SCRAM-SHA-256 --http.auth">Everybody may do everything. With rules, each topic, group and subject is open only to who may:</${Empty}>`;
}

function RuleList() {
  const it = useRules();
  const why = useRights('Cluster')('Alter');
  const q = param('q').toLowerCase();
  const drop = (b) => async () => { await ask('/api/acls/delete', { method: 'POST', body: b }); say('The rule is gone'); it.again(); };
  return html`<div class="row" style=${{ marginBottom: '10px' }}><span class="soft">What no rule allows is refused, except to super users.</span><span class="right"><${Act} kind="main-action" why=${why} disabled=${!!it.error} onClick=${() => openDialog('rule')}>New rule</${Act}></span></div>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((b) => Object.values(b).join(' ').toLowerCase().includes(q))} columns=${[{ name: 'Who', key: 'who', cls: 'name', value: (b) => b.principal }, { name: 'From', value: (b) => b.host, cls: 'soft' },
      { name: '', fit: true, value: (b) => b.permission, show: (b) => html`<${Badge} kind=${/allow/i.test(b.permission) ? 'good' : 'bad'}>${b.permission}</${Badge}>` }, { name: 'Operation', key: 'op', value: (b) => b.operation }, { name: 'On', key: 'on', cls: 'name', value: (b) => b.resource + b.name, show: (b) => html`${b.resource} <code>${b.name}</code>${/prefix/i.test(b.pattern) ? html` <${Badge}>and all that begins so</${Badge}>` : null}` },
      { name: '', fit: true, show: (b) => html`<${Doing} kind="small danger" why=${why} run=${drop(b)}>Delete</${Doing}>` }]} />` : html`<${Empty} title="No rules yet">Only super users may do anything.</${Empty}>`)}</${Loaded}>
    ${openFor('rule') !== null && !why && html`<${Rule} onClose=${closeDialog} again=${it.again} />`}`;
}

function Rule({ onClose, again }) {
  const [b, set] = useState({ principal: 'User:', host: '*', permission: 'Allow', operation: 'Read', resource: 'Topic', name: '', pattern: 'Literal' });
  const [error, setError] = useState(null);
  const on = (key) => (e) => set({ ...b, [key]: e.target.value });
  const pick = (key, list) => html`<select value=${b[key]} onChange=${on(key)}>${list.map((v) => html`<option>${v}</option>`)}</select>`;
  const send = async () => { setError(null); try { await ask('/api/acls', { method: 'POST', body: [b] }); } catch (e) { setError(e); return; } say('The rule is in force'); again(); onClose(); };
  return html`<${Dialog} title="New rule" onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${!b.name} run=${send}>Save</${Doing}>`}><div class="column">
    <div class="row"><label class="field grow">Who<input value=${b.principal} onInput=${on('principal')} placeholder="User:alice or User:*" /></label><label class="field">From<input value=${b.host} onInput=${on('host')} /></label></div>
    <div class="row"><label class="field">May<span>${pick('permission', ['Allow', 'Deny'])}</span></label><label class="field">Operation<span>${pick('operation', operations)}</span></label><label class="field">On<span>${pick('resource', resources)}</span></label>
      <label class="field grow">Name<input value=${b.name} onInput=${on('name')} placeholder="orders, or * for all" /></label><label class="field">Matches<span>${pick('pattern', ['Literal', 'Prefixed'])}</span></label></div><${Trouble} error=${error} /></div></${Dialog}>`;
}

const quotaKeys = ['producer_byte_rate', 'consumer_byte_rate', 'request_percentage', 'controller_mutation_rate', 'connection_creation_rate'];
const amount = (key, v) => (key.endsWith('byte_rate') ? bytes(v) + '/s' : key === 'request_percentage' ? v + ' %' : count(v) + '/s');

function Quotas() {
  const it = useAsk('/api/quotas');
  const why = useRights('Cluster')('AlterConfigs');
  const q = param('q').toLowerCase();
  const entity = (x) => x.entity.map((e) => `${e.type} ${e.name ?? '(all others)'}`).join(', ');
  const drop = (x) => async () => { await ask('/api/quotas', { method: 'POST', body: { entity: x.entity, values: Object.fromEntries(Object.keys(x.values).map((k) => [k, null])) } }); say('The quotas are taken back'); it.again(); };
  return html`<div class="row" style=${{ marginBottom: '10px' }}><span class="right"><${Act} kind="main-action" why=${why} onClick=${() => openDialog('quota')}>Set a quota</${Act}></span></div>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((x) => entity(x).toLowerCase().includes(q))} columns=${[{ name: 'Whose', cls: 'name', value: entity }, { name: 'Limits', show: (x) => html`<span class="badges">${Object.entries(x.values).map(([k, v]) => html`<${Badge}>${k.replaceAll('_', ' ')}: ${amount(k, v)}</${Badge}>`)}</span>` }, { name: '', fit: true, show: (x) => html`<${Doing} kind="small danger" why=${why} run=${drop(x)}>Take back</${Doing}>` }]} />`
      : html`<${Empty} title="No quotas" command="tarn quota set --for-user alice producer_byte_rate=1048576">Users, client ids and addresses may be held to a rate; who goes beyond it is slowed down.</${Empty}>`)}</${Loaded}>
    ${openFor('quota') !== null && !why && html`<${Quota} onClose=${closeDialog} again=${it.again} />`}`;
}

function Quota({ onClose, again }) {
  const [type, setType] = useState('user');
  const [name, setName] = useState('');
  const [key, setKey] = useState(quotaKeys[0]);
  const [value, setValue] = useState('');
  const [error, setError] = useState(null);
  const send = async () => { setError(null); try { await ask('/api/quotas', { method: 'POST', body: { entity: [{ type, name: name === '' || name === '*' ? null : name }], values: { [key]: Number(value) } } }); } catch (e) { setError(e); return; } say('The quota is in force'); again(); onClose(); };
  return html`<${Dialog} title="Set a quota" onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${value === '' || Number.isNaN(Number(value))} run=${send}>Save</${Doing}>`}><div class="column"><div class="row">
    <label class="field">Whose<select value=${type} onChange=${(e) => setType(e.target.value)}>${['user', 'client-id', 'ip'].map((v) => html`<option>${v}</option>`)}</select></label><label class="field grow">Name<input value=${name} placeholder="* : all others" onInput=${(e) => setName(e.target.value)} /></label></div>
    <div class="row"><label class="field grow">Limit<select value=${key} onChange=${(e) => setKey(e.target.value)}>${quotaKeys.map((v) => html`<option>${v}</option>`)}</select></label><label class="field">Value<input value=${value} inputmode="decimal" placeholder="bytes, %, or a second" onInput=${(e) => setValue(e.target.value)} /></label></div><${Trouble} error=${error} /></div></${Dialog}>`;
}
