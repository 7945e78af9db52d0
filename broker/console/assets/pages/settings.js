// Settings: how this broker is configured, and where each value comes from.
import { html } from '../lib.js';
import { closeDialog, openDialog, openFor, param } from '../router.js';
import { ask, useAsk, useRights } from '../api.js';
import { Act, Find, Head, Loaded, Segment, say } from '../parts.js';
import { ConfigTable, EditConfig } from './topic.js';

const levels = ['debug', 'info', 'warn', 'error'];

export default function Settings() {
  const it = useAsk('/api/settings');
  const fixed = useRights('Cluster')('AlterConfigs');
  const editing = !fixed && it.data && it.data.configs.find((c) => c.name === openFor('config'));
  const q = param('q').toLowerCase();
  const mine = param('from') === 'set';
  const level = async (l) => {
    try { await ask('/api/settings', { method: 'PATCH', body: { log_level: l } }); say('The log says ' + l + ' and worse'); it.again(); } catch (e) { say(e.message, true); }
  };
  return html`<${Head} title="Settings"><span class="right row"><${Segment} name="from" fallback="" options=${[['', 'All'], ['set', 'Set here']]} /><${Find} placeholder="Filter settings" /></span></${Head}>
    <${Loaded} of=${it}>${(s) => html`<div class="row" style=${{ marginBottom: '14px' }}><span class="soft">Log level</span><span class="segment">${levels.map((l) => html`<${Act} kind=${s.log_level === l ? 'on' : ''} why=${fixed} onClick=${() => level(l)}>${l}</${Act}>`)}</span><span class="faint">until the broker ends; at the start --log.level counts</span>${fixed && html`<span class="faint">To change one ${fixed}</span>`}</div>
      <${ConfigTable} rows=${s.configs.filter((c) => (c.name + ' ' + c.doc).toLowerCase().includes(q) && (!mine || c.source !== 'default'))} onEdit=${fixed ? undefined : (c) => openDialog('config', c.name)} />`}</${Loaded}>
    ${editing && html`<${EditConfig} of=${editing} path="/api/settings" onClose=${closeDialog} again=${it.again} />`}`;
}
