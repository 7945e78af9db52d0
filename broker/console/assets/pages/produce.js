// The form that produces a record: it begins with the schema's fields, and the broker's
// own validator says what it would say while somebody types.
import { html, useEffect, useRef, useState } from '../lib.js';
import { ask, p, useAsk } from '../api.js';
import { Badge, CopyAs, Dialog, Doing, Loading, say } from '../parts.js';
import { sh } from '../format.js';
import { pretty } from '../json.js';

const pause = 250; // ms without a key before the draft is checked

export default function Produce({ name, topic, onClose, onDone }) {
  const start = useAsk(p`/api/topics/${name}/template`);
  if (!start.data) return html`<${Dialog} title=${'Produce to ' + name} onClose=${onClose}>${start.error ? html`<div class="note bad">${start.error.message}</div>` : html`<${Loading} />`}</${Dialog}>`;
  return html`<${Form} name=${name} topic=${topic} start=${start.data} onClose=${onClose} onDone=${onDone} />`;
}

const Schema = ({ of }) => (of.error ? html`<${Badge} kind="warn" title=${of.error}>no template</${Badge}>` : of.subject ? html`<${Badge} kind="accent">${of.type} · ${of.subject} v${of.version}</${Badge}>` : html`<span class="faint">no schema: sent as it is</span>`);

function Form({ name, topic, start, onClose, onDone }) {
  const [key, setKey] = useState(start.key.subject ? pretty(start.key.text) : start.key.text);
  const [keyNull, setKeyNull] = useState(!start.key.subject);
  const [value, setValue] = useState(start.value.text ? pretty(start.value.text) : '{\n  \n}');
  const [valueNull, setValueNull] = useState(false);
  const [headers, setHeaders] = useState('');
  const [partition, setPartition] = useState('');
  const [verdict, setVerdict] = useState(null);
  const turn = useRef(0);
  const draft = () => {
    const d = { key: keyNull ? null : { form: start.key.subject ? 'schema' : 'text', text: key }, value: valueNull ? null : { form: start.value.subject ? 'schema' : 'text', text: value } };
    const list = headers.split('\n').filter((l) => l.includes(':')).map((l) => { const at = l.indexOf(':'); return { key: l.slice(0, at).trim(), value: l.slice(at + 1).trim() }; });
    if (list.length) d.headers = list;
    if (partition !== '') d.partition = Number(partition);
    return d;
  };
  useEffect(() => {
    const now = ++turn.current;
    const timer = setTimeout(async () => {
      try { const v = await ask(p`/api/topics/${name}/check`, { method: 'POST', body: draft() }); if (turn.current === now) setVerdict(v); } catch (e) { if (turn.current === now) setVerdict({ ok: false, message: e.message }); }
    }, pause);
    return () => clearTimeout(timer);
  }, [key, keyNull, value, valueNull, headers, partition]);
  const fill = async () => {
    const got = await ask(p`/api/topics/${name}/records?limit=1`);
    if (!got.records.length) { say('There is no record yet', true); return; }
    const r = got.records[0];
    setValueNull(r.value.form === 'null');
    if (r.value.form !== 'null') setValue(r.value.form === 'json' ? pretty(r.value.text) : r.value.text);
    setKeyNull(r.key.form === 'null');
    if (r.key.form !== 'null') setKey(r.key.text);
  };
  const send = async () => {
    const got = await ask(p`/api/topics/${name}/records`, { method: 'POST', body: draft() });
    say(`Partition ${got.partition}, offset ${got.offset}`);
    onDone();
  };
  const keys = (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); send().catch((x) => say(x.message, true)); } };
  const line = () => JSON.stringify({ key: keyNull ? null : '\u0001', value: '\u0002' }).replace('"\\u0001"', start.key.subject ? flat(key) : JSON.stringify(key)).replace('"\\u0002"', valueNull ? 'null' : start.value.subject ? flat(value) : JSON.stringify(value));
  return html`<${Dialog} title=${'Produce to ' + name} onClose=${onClose} wide actions=${html`<${CopyAs} texts=${() => ({ tarn: `echo ${sh(line())} | tarn produce ${sh(name)}`, curl: `curl -X POST '${location.origin}${p`/api/topics/${name}/records`}' -H 'Content-Type: application/json' -d ${sh(JSON.stringify(draft()))}` })} />
      <${Doing} kind="main-action" run=${send} title="Ctrl Enter">Produce</${Doing}>`}>
    <div class="column" onKeyDown=${keys}>
      <div class="row"><b>Key</b><${Schema} of=${start.key} /><label class="check soft"><input type="checkbox" checked=${keyNull} onChange=${(e) => setKeyNull(e.target.checked)} />null</label></div>
      <textarea class="code" rows=${start.key.text.includes('\n') ? 5 : 1} aria-label="Key" disabled=${keyNull} value=${keyNull ? '' : key} onInput=${(e) => setKey(e.target.value)} spellcheck=${false}></textarea>
      <div class="row"><b>Value</b><${Schema} of=${start.value} /><label class="check soft"><input type="checkbox" checked=${valueNull} onChange=${(e) => setValueNull(e.target.checked)} />null</label>
        <span class="right row"><button class="small" onClick=${() => fill().catch((e) => say(e.message, true))}>Take the newest record</button>${start.value.subject && html`<button class="small" onClick=${() => setValue(pretty(start.value.text))}>From the schema</button>`}</span></div>
      <textarea class="code" rows="12" aria-label="Value" data-first="1" disabled=${valueNull} value=${valueNull ? '' : value} onInput=${(e) => setValue(e.target.value)} spellcheck=${false}></textarea>
      <div class="row"><label class="field grow">Headers, NAME: VALUE a line<textarea class="code" rows="1" value=${headers} onInput=${(e) => setHeaders(e.target.value)}></textarea></label>
        <label class="field">Partition<select value=${partition} onChange=${(e) => setPartition(e.target.value)}><option value="">by key</option>${Array.from({ length: Math.min(topic.partitions, 1000) }, (_, i) => html`<option value=${i}>${i}</option>`)}</select></label></div>
      <${Verdict} of=${verdict} /></div></${Dialog}>`;
}

/** flat is JSON in one line, with its tokens as they are. */
const flat = (text) => text.split('\n').map((l) => l.trim()).join(' ');

function Verdict({ of }) {
  if (!of) return html`<div class="note faint">…</div>`;
  if (of.ok) return html`<div class=${'note ' + (of.monitored ? 'warn' : 'good')} role="status">${of.monitored ? 'It does not fit, and would be taken all the same: ' + of.message : `The broker takes it: ${of.value_bytes} bytes of value, ${of.key_bytes} of key`}</div>`;
  return html`<div class="note bad" role="status"><b>${of.part || 'It'}</b> ${of.message}</div>`;
}
