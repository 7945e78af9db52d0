// Asking the broker. Values of records come as text within the answers and are never
// parsed here: numbers of 64 bits would lose digits.
import { signal, useEffect, useRef, useState } from './lib.js';

/** What /api/session says; null until it has answered. */
export const session = signal(null);

/** An answer that is no success, with its status and the broker's words. */
export class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

/**
 * ask sends a request and returns its JSON, or throws Refused.
 * @param {string} path with its query
 * @param {{method?: string, body?: unknown, signal?: AbortSignal, type?: string, asked?: Promise<Response>}} [o]
 *   asked is the same request, where it was sent before
 */
export async function ask(path, o = {}) {
  const headers = { Accept: 'application/json', 'Tarn-Console': '1' };
  if (o.body !== undefined) headers['Content-Type'] = o.type || 'application/json';
  let r;
  try {
    r = await (o.asked || fetch(path, { method: o.method || 'GET', headers, body: o.body === undefined ? undefined : JSON.stringify(o.body), signal: o.signal, credentials: 'same-origin' }));
  } catch (e) { return unreachable(e); }
  const text = await r.text();
  if (!r.ok) throw refused(r, text);
  return text ? JSON.parse(text) : null;
}

/**
 * unreachable says what it means that no answer came.
 * @returns {never}
 */
function unreachable(e) {
  if (e.name === 'AbortError') throw e;
  throw new Refused(0, 'The broker does not answer. Is it still running?');
}

function refused(r, text) {
  let message = text || r.statusText;
  try { message = JSON.parse(text).message || message; } catch { /* no JSON: as it is */ }
  if (r.status === 401 && session.value && session.value.needed) session.value = { ...session.value, signed_in: false };
  // Who refuses has words of its own before those that say which right is missing.
  if (r.status === 403) message = message.replace(/^((refused: )?not allowed: |User is denied operation on this server\. (?=\S))/, 'Not allowed: ');
  return new Refused(r.status, message);
}

/** raw is ask for answers that are no JSON. */
export async function raw(path, o = {}) {
  const r = await fetch(path, { method: o.method || 'GET', headers: { 'Tarn-Console': '1', ...(o.body ? { 'Content-Type': 'application/json' } : {}) }, body: o.body ? JSON.stringify(o.body) : undefined, signal: o.signal }).catch(unreachable);
  if (!r.ok) throw refused(r, await r.text());
  return o.blob ? r.blob() : r.text();
}

/** A path of encoded parts: p`/api/topics/${name}`. */
export const p = (text, ...values) => text.reduce((all, one, i) => all + encodeURIComponent(values[i - 1]) + one);

/** Whether the page is in front: nothing is asked for one that nobody sees. */
const visible = () => document.visibilityState !== 'hidden';

/**
 * useAsk loads a path, and again every so many milliseconds while the page is seen.
 * @returns {{data: any, error: (Error & {status?: number})|null, loading: boolean, again: () => void}}
 */
export function useAsk(path, every = 0) {
  const [state, set] = useState({ data: null, error: null, loading: true, path });
  const [turn, setTurn] = useState(0);
  const last = useRef('');
  useEffect(() => {
    if (!path) return undefined;
    const stop = new AbortController();
    let timer = 0;
    const load = async () => {
      if (visible()) {
        try {
          const data = await ask(path, { signal: stop.signal });
          if (!stop.signal.aborted) set({ data, error: null, loading: false, path });
        } catch (error) {
          if (!stop.signal.aborted) set((s) => ({ data: s.path === path ? s.data : null, error, loading: false, path }));
        }
      }
      if (every && !stop.signal.aborted) timer = setTimeout(load, every);
    };
    if (last.current !== path) { last.current = path; set({ data: null, error: null, loading: true, path }); }
    load();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [path, every, turn]);
  const fresh = state.path === path;
  return { data: fresh ? state.data : null, error: fresh ? state.error : null, loading: fresh ? state.loading : true, again: () => setTurn((n) => n + 1) };
}

/**
 * useRights asks what one may do with something (Topic, Group, Subject or Cluster), and
 * returns what says which right is missing for an operation, '' if none is. Without a
 * name anything of the kind will do. The broker judges again what is asked for.
 */
export function useRights(resource, name = '') {
  const free = !session.value.rules;
  const it = useAsk(free ? '' : '/api/session/rights?' + new URLSearchParams({ resource: resource.toLowerCase(), name }), 15000);
  return (op) => {
    if (free || (it.data && it.data.operations.includes(op))) return '';
    if (!it.data) return it.error ? it.error.message : 'asking the broker whether you may';
    return `needs ${op} on ${name || resource === 'Cluster' ? (resource + ' ' + name).trim() : 'a ' + resource.toLowerCase()}`;
  };
}

/**
 * listen reads server-sent events until the answer ends or signal aborts it. fetch and
 * not EventSource: refusals have their words, and nothing connects again by itself.
 * A connection that breaks is an end too.
 * @param {(name: string, data: string) => void} on
 */
export async function listen(path, signal, on) {
  const r = await fetch(path, { headers: { Accept: 'text/event-stream', 'Tarn-Console': '1' }, signal }).catch(unreachable);
  if (!r.ok) throw refused(r, await r.text());
  const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read().catch((e) => { if (e.name === 'AbortError') throw e; return { value: '', done: true }; });
    if (done) return;
    rest += value;
    for (let at = rest.indexOf('\n\n'); at >= 0; at = rest.indexOf('\n\n')) {
      const block = rest.slice(0, at);
      rest = rest.slice(at + 2);
      let name = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) name = line.slice(6).trim();
        else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      }
      if (data.length) on(name, data.join('\n'));
    }
  }
}
