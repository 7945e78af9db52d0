// What every page stands on: preact, hooks, signals and htm, with names of ours.
import { h, render, Fragment } from './vendor/preact.js';
import htm from './vendor/htm.js';
export { useEffect, useLayoutEffect, useRef, useState, useMemo, useCallback } from './vendor/preact-hooks.js';
export { signal, computed, effect, batch } from './vendor/preact-signals.js';
export { render, Fragment };

/** html`<p>${text}</p>` makes elements; text is escaped by preact. */
export const html = htm.bind(h);
