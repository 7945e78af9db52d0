// Schemas: subjects with their versions, what changes between two, and registering one
// after a look at what it would do to readers and tables.
import { html, useEffect, useRef, useState } from '../lib.js';
import { A, closeDialog, go, openDialog, openFor, param, parts, setParams, url } from '../router.js';
import { ask, p, session, useAsk, useRights } from '../api.js';
import { plural } from '../format.js';
import { Act, Badge, Copy, CopyAs, Dialog, Doing, Empty, Find, Grid, Head, Loaded, Sure, Trouble, say } from '../parts.js';
import { Json, pretty } from '../json.js';
import { sh } from '../format.js';

const registryType = 'application/vnd.schemaregistry.v1+json';
const levels = ['NONE', 'BACKWARD', 'BACKWARD_TRANSITIVE', 'FORWARD', 'FORWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE', 'TABLE'];

export default function Schemas() {
  const [, name] = parts.value;
  return name === undefined ? html`<${List} />` : html`<${One} key=${name} name=${name} />`;
}

function List() {
  const it = useAsk('/schemas?latestOnly=true', 5000);
  const lacks = useRights('Subject');
  const level = useAsk(session.value.cluster ? '/config' : '', 0);
  const q = param('q').toLowerCase();
  return html`<${Head} title="Schemas">${level.data && html`<span class="soft">compatibility <b>${level.data.tarnCompatibilityLevel || level.data.compatibilityLevel}</b> unless a subject says otherwise</span>`}<span class="right row"><${Find} placeholder="Filter subjects" /><${Act} kind="main-action" why=${lacks('Write')} onClick=${() => openDialog('register')}>Register</${Act}></span></${Head}>
    <${Loaded} of=${it}>${(all) => (all.length ? html`<${Grid} rows=${all.filter((s) => s.subject.toLowerCase().includes(q))} sort="subject" onRow=${(s) => go(url(['schemas', s.subject]))} columns=${[
      { name: 'Subject', key: 'subject', cls: 'name', value: (s) => s.subject, show: (s) => html`<${A} to=${['schemas', s.subject]}>${s.subject}</${A}>` },
      { name: 'Type', key: 'type', value: (s) => s.schemaType || 'AVRO' }, { name: 'Latest', key: 'version', num: true, value: (s) => s.version, show: (s) => 'v' + s.version }, { name: 'Id', key: 'id', num: true, value: (s) => s.id },
      { name: 'Schema', roomy: true, cls: 'preview mono faint', show: (s) => s.schema.replace(/\s+/g, ' ').slice(0, 400) },
    ]} />` : html`<${Empty} title="No schemas yet" command=${`tarn schema register orders-value orders.avsc`}>Register one here, let a serializer do it, or:</${Empty}>`)}</${Loaded}>
    ${openFor('register') !== null && !lacks('Write') && html`<${Register} subject="" onClose=${closeDialog} />`}`;
}

function One({ name }) {
  const lacks = useRights('Subject', name);
  const [none, setNone] = useState(false);
  return html`<${Head} trail=${[['Schemas', 'schemas']]} title=${name}><span class="right row"><${CopyAs} texts=${() => ({ tarn: `tarn schema describe ${sh(name)}`, curl: `curl '${location.origin}${p`/subjects/${name}/versions/latest`}'` })} />${!none && html`<${Act} kind="danger" why=${lacks('Delete')} onClick=${() => openDialog('delete')}>Delete</${Act}>`}</span></${Head}>
    <${SubjectOf} name=${name} onNone=${setNone} />
    ${openFor('delete') !== null && !none && !lacks('Delete') && html`<${Sure} title="Delete subject" name=${name} action="Delete" onClose=${closeDialog} run=${async () => { await ask(p`/subjects/${name}`, { method: 'DELETE' }); say(name + ' is deleted'); go(url(['schemas'])); }}><p>Its versions stay readable by id: records that name them can still be decoded.</p></${Sure}>`}`;
}

/** SubjectOf shows a subject: versions, text, difference. quiet is for a topic's tab; onNone is told whether there is none. */
export function SubjectOf({ name, quiet, none, part, topic, again, onNone }) {
  const it = useAsk(none ? '' : p`/subjects/${name}/versions`);
  const config = useAsk(none ? '' : p`/config/${name}?defaultToGlobal=true`);
  const lacks = useRights('Subject', name);
  // A topic has two subjects on one page.
  const making = openFor('version') === (part || '') && !lacks('Write');
  const make = () => openDialog('version', part);
  const gone = none || !!(it.error && it.error.status === 404);
  useEffect(() => { if (onNone) onNone(gone); }, [gone]);
  if (gone) {
    return html`<${Empty} title=${quiet ? `No schema for ${part}s` : 'No such subject'} command=${quiet && part === 'value' ? `tarn schema infer ${topic}` : ''}>${quiet ? html`They are taken as they come. <${Act} kind="small" why=${lacks('Write')} onClick=${make}>Register one</${Act}>${part === 'value' ? ' or let the broker propose one from what flows:' : ''}`
    : html`It may have been deleted. <${A} to=${['schemas']}>All subjects</${A}>, or <${Act} kind="small" why=${lacks('Write')} onClick=${make}>Register</${Act}> its first version.`}</${Empty}>${making && html`<${Register} subject=${name} onClose=${closeDialog} fresh again=${again || it.again} />`}`;
  }
  const setLevel = async (level) => { await ask(p`/config/${name}`, { method: 'PUT', body: { compatibility: level }, type: registryType }); say('Compatibility is ' + level); config.again(); };
  return html`<${Loaded} of=${it}>${(versions) => {
    const latest = versions[versions.length - 1];
    const shown = Number(param('version')) || latest;
    const against = Number(param('from')) || 0;
    return html`<div class="row" style=${{ marginBottom: '10px' }}><span class="soft">Version</span><span class="segment">${versions.slice(-12).map((v) => html`<button class=${v === shown ? 'on' : ''} aria-pressed=${v === shown} onClick=${() => setParams({ version: v === latest ? '' : v })}>v${v}</button>`)}</span>
        ${versions.length > 1 && html`<label class="row soft">changes since<select value=${against || ''} onChange=${(e) => setParams({ from: e.target.value })}><option value="">the one before</option>${versions.filter((v) => v < shown).map((v) => html`<option value=${v}>v${v}</option>`)}</select></label>`}
        <span class="right row">${config.data && html`<label class="row soft">compatibility<select disabled=${!!lacks('AlterConfigs')} title=${lacks('AlterConfigs')} value=${config.data.tarnCompatibilityLevel || config.data.compatibilityLevel} onChange=${(e) => setLevel(e.target.value).catch((x) => say(x.message, true))}>${levels.map((l) => html`<option>${l}</option>`)}</select></label>`}
        <${Act} kind="main-action" why=${lacks('Write')} onClick=${make}>New version</${Act}></span></div>
      <${Version} key=${shown} name=${name} version=${shown} />
      ${shown > versions[0] && html`<${Diff} name=${name} from=${against && against < shown ? against : versions[versions.indexOf(shown) - 1]} to=${shown} />`}
      ${making && html`<${Register} subject=${name} onClose=${closeDialog} again=${again || it.again} />`}`;
  }}</${Loaded}>`;
}

function Version({ name, version }) {
  const it = useAsk(p`/subjects/${name}/versions/${version}`);
  return html`<${Loaded} of=${it}>${(s) => html`<div class="row" style=${{ margin: '6px 0' }}><${Badge} kind="accent">${s.schemaType || 'AVRO'}</${Badge}><${Badge}>id ${s.id}</${Badge}>${s.guid && html`<${Badge} title="The same schema has the same GUID everywhere">${s.guid}</${Badge}>`}
      ${(s.references || []).map((r) => html`<${A} to=${['schemas', r.subject]}><${Badge}>uses ${r.name}</${Badge}></${A}>`)}${s.ruleSet && html`<${Badge} kind="warn">${plural(((s.ruleSet.domainRules || []).length), 'rule')}</${Badge}>`}<span class="right"><${Copy} text=${s.schema} /></span></div>
    <div class="recordbody" tabindex="0">${s.schemaType === 'PROTOBUF' ? html`<pre>${s.schema}</pre>` : html`<${Json} text=${s.schema} broad />`}</div>`}</${Loaded}>`;
}

function Diff({ name, from, to }) {
  const it = useAsk('/api/schemas/diff?subject=' + encodeURIComponent(name) + `&from=${from}&to=${to}`);
  return html`<h2>From v${from} to v${to}</h2><${Loaded} of=${it}>${(r) => html`<${ReviewOf} r=${r} />`}</${Loaded}>`;
}

/** ReviewOf says what changes, for readers and for tables. */
export function ReviewOf({ r }) {
  return html`<div class="row" style=${{ marginBottom: '8px' }}><${Badge} kind=${r.compatible ? 'good' : 'bad'}>${r.compatible ? '✓ compatible' : '✕ not compatible'} by ${r.level}</${Badge}><span class="badges">${(r.levels || []).map((l) => html`<${Badge} kind=${l.compatible ? 'good' : 'bad'} title=${(l.reasons || []).join('\n') || 'in order'}>${l.compatible ? '✓' : '✕'} ${l.level}</${Badge}>`)}</span></div>
    ${(r.reasons || []).map((x) => html`<div class="note bad">${x}</div>`)}${(r.warnings || []).map((x) => html`<div class="note warn">${x}</div>`)}${r.no_table_form && html`<div class="note warn">It has no table form: ${r.no_table_form}</div>`}
    ${(r.changes || []).length ? html`<${Grid} id="d" rows=${r.changes} columns=${[{ name: 'Field', show: (c) => html`<code>${c.field || '(the schema)'}</code>` }, { name: 'Change', show: (c) => html`<span class="badges">${(c.kinds || []).map((k) => html`<${Badge}>${k.toLowerCase().replaceAll('_', ' ')}</${Badge}>`)}</span><div class="soft">${(c.details || []).join('; ')}</div>` },
      { name: 'Readers', show: (c) => verdicts(c) }, { name: 'Tables', show: (c) => tableEffects(c) }]} />` : html`<p class="faint">Nothing that readers or tables would notice changes.</p>`}`;
}

const verdicts = (c) => {
  const list = [...(c.backward || []).map((x) => ['new readers cannot read old data', x]), ...(c.forward || []).map((x) => ['old readers cannot read new data', x])];
  return list.length ? list.map(([who, why]) => html`<div><${Badge} kind="bad">${who}</${Badge}> <span class="soft">${why}</span></div>`) : html`<${Badge} kind="good">read on</${Badge}>`;
};
const tableEffects = (c) => (c.table || []).map((e) => html`<div>${e.text}</div>`);

/** Register takes a schema, says what it would change, and then registers it. */
function Register({ subject, onClose, again, fresh }) {
  const [name, setName] = useState(subject);
  const [type, setType] = useState('AVRO');
  const [text, setText] = useState('');
  const [references, setReferences] = useState([]);
  const typed = useRef(false);
  const [review, setReview] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (!subject || fresh) return;
    // A new version begins with the last one, unless somebody has begun to type.
    ask(p`/subjects/${subject}/versions/latest`).then((s) => {
      if (typed.current) return;
      setType(s.schemaType || 'AVRO');
      setReferences(s.references || []);
      setText(s.schemaType === 'PROTOBUF' ? s.schema : pretty(s.schema));
    }, () => {});
  }, [subject]);
  const body = () => ({ schemaType: type, schema: text, references });
  useEffect(() => {
    if (!name || !text.trim()) { setReview(null); setError(null); return undefined; }
    let gone = false;
    const t = setTimeout(() => ask('/api/schemas/check?subject=' + encodeURIComponent(name), { method: 'POST', body: body() }).then((r) => { if (!gone) { setReview(r); setError(null); } }, (e) => { if (!gone) { setReview(null); setError(e); } }), 350);
    return () => { gone = true; clearTimeout(t); };
  }, [name, type, text, references]);
  const send = async () => {
    const r = await ask(p`/subjects/${name}/versions`, { method: 'POST', body: body(), type: registryType });
    say('Registered with id ' + r.id);
    if (again) again();
    if (subject) onClose();
    else go(url(['schemas', name])); // instead of the dialog
  };
  return html`<${Dialog} wide title=${subject ? 'New version of ' + subject : 'Register a schema'} onClose=${onClose} actions=${html`<${Doing} kind="main-action" disabled=${!name || !text.trim() || (review && !review.compatible)} run=${send}>Register</${Doing}>`}>
    <div class="column"><div class="row">${!subject && html`<label class="field grow">Subject<input value=${name} placeholder="orders-value" onInput=${(e) => setName(e.target.value)} /></label>`}<label class="field">Type<select value=${type} onChange=${(e) => setType(e.target.value)}>${['AVRO', 'PROTOBUF', 'JSON'].map((t) => html`<option>${t}</option>`)}</select></label></div>
      <textarea class="code" rows="14" aria-label="Schema" data-first=${subject ? '1' : undefined} spellcheck=${false} value=${text} onInput=${(e) => { typed.current = true; setText(e.target.value); }}></textarea>${references.length > 0 && html`<p class="faint">It uses ${references.map((r) => `${r.name} (${r.subject} v${r.version})`).join(', ')}.</p>`}<${Trouble} error=${error} />${review && html`<${ReviewOf} r=${review} />`}</div></${Dialog}>`;
}
