// Charts of numbers over time, by uPlot, which is loaded when the first one is shown.
import { html, useEffect, useRef, signal } from './lib.js';
import { theme, utc } from './format.js';
import { useAsk } from './api.js';

/** Distances between ticks of time, in seconds: those that clocks have. */
const ticks = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

let library = null;
function load() {
  if (!library) {
    const css = document.createElement('link');
    css.rel = 'stylesheet';
    css.href = '/console/assets/vendor/uplot.css';
    document.head.append(css);
    library = import('./vendor/uplot.js').then((m) => m.default);
  }
  return library;
}

/** Changes when the system's theme does. */
const systemTheme = signal(0);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { systemTheme.value++; });

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * Chart draws lines over times.
 * @param {{times: number[], lines: {label: string, values: (number|null)[], color?: string}[], show?: (n: number) => string, height?: number}} o
 */
export function Chart({ times, lines, show = String, height = 120 }) {
  const at = useRef(null);
  const plot = useRef(null);
  const key = lines.map((l) => l.label).join('\n') + theme.value + systemTheme.value + utc.value;
  const data = [times, ...lines.map((l) => l.values)];
  useEffect(() => {
    let gone = false;
    let watch = null;
    load().then((UPlot) => {
      if (gone || !at.current) return;
      const grid = { stroke: css('--line'), width: 1 };
      const axis = { stroke: css('--faint'), grid, ticks: { show: false }, font: '11px system-ui, sans-serif' };
      const colours = [css('--accent'), css('--warn'), css('--bad'), css('--j-number'), css('--j-word'), css('--good')];
      plot.current = new UPlot({
        width: at.current.clientWidth || 400, height, legend: { show: lines.length > 1 },
        tzDate: (ts) => (utc.value ? UPlot.tzDate(new Date(ts * 1000), 'Etc/UTC') : new Date(ts * 1000)),
        cursor: { points: { size: 5 }, drag: { x: false, y: false } },
        scales: { y: { range: (u, min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        padding: [8, 16, 0, 0], axes: [{ ...axis, space: 44, incrs: ticks, size: 22, values: (u, list) => list.map((v) => clock(v)) }, { ...axis, size: 52, space: 30, values: (u, list) => list.map((v) => show(v)) }],
        series: [{ value: (u, v) => (v === null ? '–' : clock(v)) }, ...lines.map((l, i) => {
          const stroke = l.color || colours[i % colours.length];
          return { label: l.label, stroke, width: 1.4, fill: lines.length === 1 ? stroke + '22' : undefined, points: { show: false }, spanGaps: false, value: (u, v) => (v === null || v === undefined ? '–' : show(v)) };
        })],
      }, data, at.current);
      watch = new ResizeObserver(() => { if (at.current && plot.current) plot.current.setSize({ width: at.current.clientWidth, height }); });
      watch.observe(at.current);
    });
    return () => { gone = true; if (watch) watch.disconnect(); if (plot.current) plot.current.destroy(); plot.current = null; };
  }, [key, height]);
  useEffect(() => { if (plot.current) plot.current.setData(data); });
  return html`<div ref=${at}></div>`;
}

function clock(seconds) {
  const d = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = utc.value ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : [d.getHours(), d.getMinutes(), d.getSeconds()];
  return two(h) + ':' + two(m) + (s ? ':' + two(s) : '');
}

/** times are the moments of an answer of /api/overview/series. */
const times = (p) => { const n = Math.max(0, ...Object.values(p.series).map((l) => l.length)); return Array.from({ length: n }, (_, i) => p.from + i * p.step); };

/** useSeries asks for series by name. */
export const useSeries = (names, span) => useAsk(names.length ? '/api/overview/series?span=' + span + names.map((n) => '&name=' + encodeURIComponent(n)).join('') : '', span === '24h' ? 15000 : 2000);

/** Over is a chart of one series with its newest number. */
export function Over({ points, name, label, show }) {
  const values = (points && points.series[name]) || [];
  const last = values.findLast((v) => v !== null);
  return html`<div class="panel"><div class="chart-head"><span>${label}</span><b>${last === undefined ? '–' : show(last)}</b></div>
    <div class="chart">${values.some((v) => v !== null) ? html`<${Chart} times=${times(points)} lines=${[{ label, values }]} show=${show} />` : html`<div class="none">nothing yet</div>`}</div></div>`;
}
