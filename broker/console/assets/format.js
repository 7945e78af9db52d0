// Numbers, sizes and times as people read them.
import { signal } from './lib.js';

const stored = (key, fallback) => { try { return localStorage.getItem(key) || fallback; } catch { return fallback; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* for this page only, then */ } };

/** Whether times are shown in UTC. */
export const utc = signal(stored('tarn.zone', 'local') === 'utc');
export const setUTC = (on) => { utc.value = on; store('tarn.zone', on ? 'utc' : 'local'); };

/** system, light or dark. */
export const theme = signal(stored('tarn.theme', 'system'));
export function setTheme(name) {
  theme.value = name;
  store('tarn.theme', name);
  if (name === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

/** 1,234,567 */
export const count = (n) => (n === null || n === undefined ? '–' : whole.format(n));

/** Short forms of large numbers; those below ten thousand are shown whole. */
const units = [{ from: 1e12, unit: 'T' }, { from: 1e9, unit: 'G' }, { from: 1e6, unit: 'M' }, { from: 1e4, size: 1e3, unit: 'k' }];

/** 12.3 k */
export function brief(n) {
  if (n === null || n === undefined) return '–';
  for (const { from, size = from, unit } of units) if (Math.abs(n) >= from) return short.format(n / size) + ' ' + unit;
  return Math.abs(n) < 10 && n % 1 ? short.format(n) : whole.format(n);
}

/** 1.5 MiB */
export function bytes(n) {
  if (n === null || n === undefined) return '–';
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < names.length - 1) { n /= 1024; i++; }
  return (i ? n.toFixed(n < 10 ? 1 : 0) : n) + ' ' + names[i];
}

/** 3.2 s, 5 min, 2 h 10 min, 3 d */
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return '–';
  const s = Math.abs(seconds);
  if (s < 1) return Math.round(s * 1000) + ' ms';
  if (s < 10) return s.toFixed(1) + ' s';
  if (s < 120) return Math.round(s) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  if (s < 172800) {
    const minutes = Math.round(s / 60);
    return Math.floor(minutes / 60) + ' h' + (minutes % 60 ? ' ' + (minutes % 60) + ' min' : '');
  }
  return Math.round(s / 86400) + ' d';
}

const two = (n) => String(n).padStart(2, '0');

/** 2026-01-31 12:00:00.123 in the chosen zone; numbers that are no time stay numbers. */
export function time(ms, withDate = true) {
  const d = new Date(Number(ms));
  if (ms === null || ms === undefined || ms === '' || Number.isNaN(d.getTime())) return ms === null || ms === undefined ? '–' : String(ms);
  const u = utc.value;
  const get = (what) => d[(u ? 'getUTC' : 'get') + what]();
  const clock = `${two(get('Hours'))}:${two(get('Minutes'))}:${two(get('Seconds'))}.${String(get('Milliseconds')).padStart(3, '0')}`;
  return withDate ? `${get('FullYear')}-${two(get('Month') + 1)}-${two(get('Date'))} ${clock}` : clock;
}

/** 5 s ago */
export function ago(ms, now = Date.now()) {
  if (!ms) return '–';
  const s = (now - Number(ms)) / 1000;
  if (s > -1 && s < 1.5) return 'now';
  return s < 0 ? 'in ' + span(-s) : span(s) + ' ago';
}

/** orders, 1 topic, 2 topics */
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + 's'}`;

/** A word in single quotes as a shell takes it, if it needs them. */
export const sh = (s) => (/^[A-Za-z0-9_./:@%+=,-]+$/.test(s) ? s : `'${String(s).replaceAll("'", `'\\''`)}'`);

/** The names that SQL takes without quotes stay as they are. */
export const sqlName = (s) => (/^[a-z_][a-z0-9_]*$/i.test(s) ? s : '"' + s.replaceAll('"', '""') + '"');
