// Text of JSON in colours and lines, without parsing it: a number stays the digits that
// the broker sent, names stand in their order, and what is there twice is shown twice.
import { html } from './lib.js';

// A token: a string with what tells a name from a value, a number, a word, a mark, space.
// A text that was cut ends within a string; nothing of what is there may be lost.
const token = /"(?:[^"\\]|\\[^])*(?:"|\\?$)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]|\s+|[^"{}[\],:\s]+/g;

/** Texts longer than this are shown without colours: each token is an element. */
const maxColoured = 60000;

/** tokens splits a text; kinds are key, string, number, word, mark, space. */
export function tokens(text) {
  const out = [];
  for (const m of text.matchAll(token)) {
    const t = m[0];
    const c = t[0];
    let kind = 'word';
    if (c === '"') {
      let after = m.index + t.length;
      while (/\s/.test(text[after] || '')) after++;
      kind = text[after] === ':' ? 'key' : 'string';
    } else if (c === '-' || (c >= '0' && c <= '9')) kind = 'number';
    else if ('{}[],:'.includes(c)) kind = 'mark';
    else if (/^\s/.test(t)) kind = 'space';
    out.push({ kind, text: t });
  }
  return out;
}

/** lines writes the text anew with a member a line; only white space changes. */
export function pretty(text) {
  let out = '';
  let depth = 0;
  const list = tokens(text).filter((t) => t.kind !== 'space');
  list.forEach((t, i) => {
    const next = list[i + 1];
    if (t.text === '{' || t.text === '[') {
      out += t.text;
      if (next && (next.text === '}' || next.text === ']')) return;
      depth++;
      out += '\n' + '  '.repeat(depth);
    } else if (t.text === '}' || t.text === ']') {
      const before = list[i - 1];
      if (before && (before.text === '{' || before.text === '[')) { out += t.text; return; }
      depth = Math.max(0, depth - 1);
      out += '\n' + '  '.repeat(depth) + t.text;
    } else if (t.text === ',') out += ',\n' + '  '.repeat(depth);
    else if (t.text === ':') out += ': ';
    else out += t.text;
  });
  return out;
}

/** Json shows a text in colours, in one line or, broad, in many. */
export function Json({ text, broad }) {
  const shown = broad ? (text.length > maxColoured ? text : pretty(text)) : text.slice(0, 600);
  if (shown.length > maxColoured) return html`<pre>${shown}</pre>`;
  const parts = tokens(shown).map((t) => (t.kind === 'space' ? t.text : html`<span class=${'j-' + t.kind}>${t.text}</span>`));
  return broad ? html`<pre>${parts}</pre>` : html`<span class="mono">${parts}</span>`;
}
