// What all screens share: the template tag, harmless words, times, sizes, the mark of a status.
import {h} from './vendor/preact.js';
import {useEffect, useState} from './vendor/hooks.js';
import htm from './vendor/htm.js';

export const html = htm.bind(h);

/** Names and descriptions: no control acts, and no bidirectional control reorders what stands beside it (V24). */
export function words(text) {
  return String(text ?? '')
    .replace(/[\n\r\t]/g, ' ')
    .replace(/[\u0000-\u001f]/g, c => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f]/g, '\u2421')
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, c => `<U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`);
}

/** The same for texts of several lines. */
export const paragraphs = text => String(text ?? '').split('\n').map(words).join('\n');

export function size(bytes) {
  if (bytes === undefined || bytes === null) return '';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function span(ms) {
  if (ms === null || ms === undefined) return '';
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h${String(Math.floor(s / 60) % 60).padStart(2, '0')}m`;
  return `${Math.floor(s / 86400)}d${Math.floor(s / 3600) % 24}h`;
}

export const moment = ms => (ms ? new Date(ms).toLocaleString() : '');

const marks = {queued: '◌', running: '●', completed: '✓', failed: '✗', timed_out: '⧖', killed: '■', lost: '?'};
export const statuses = Object.keys(marks);
export const ended = status => !['queued', 'running'].includes(status);

/** Never by colour alone: a mark and the word. */
export function Status({row}) {
  const asks = row.kind === 'question' && row.status === 'running';
  const word = asks ? 'open' : row.status.replace('_', ' ');
  const unsure = row.unverified || row.flags?.includes('unverified');
  return html`<span class="status is-${asks ? 'open' : row.status}"><span aria-hidden="true">${asks ? '?' : marks[row.status]}</span> ${word}${unsure ? '?' : ''}</span>`;
}

/** A number that grows each second while something runs. */
export function useClock(runs) {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    if (!runs) return undefined;
    const timer = setInterval(() => { if (!document.hidden) set(Date.now()); }, 1000);
    return () => clearInterval(timer);
  }, [runs]);
  return now;
}

/** A button that asks again before it acts (V44). */
export function Sure({label, ask, act, kind}) {
  const [asked, set] = useState(false);
  if (!asked) return html`<button class=${kind ?? ''} onClick=${() => set(true)}>${label}</button>`;
  return html`<span class="sure" role="group" aria-label=${ask}><span>${ask}</span>
    <button class="danger" ref=${e => e?.focus()} onClick=${() => { set(false); act(); }}>Yes</button>
    <button onClick=${() => set(false)}>No</button></span>`;
}

/** Loads once, and again when a key changes. */
export function useLoaded(load, keys) {
  const [state, set] = useState({});
  useEffect(() => {
    let gone = false;
    load().then(value => gone || set({value}), error => gone || set({error}));
    return () => { gone = true; };
  }, keys);
  return state;
}

/** Keys that work wherever nothing is typed. */
export function useKeys(map, keys) {
  useEffect(() => {
    const listen = event => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.target.closest('input, textarea, select') && event.key !== 'Escape') return;
      const act = map[event.key];
      if (act && act(event) !== false) event.preventDefault();
    };
    addEventListener('keydown', listen);
    return () => removeEventListener('keydown', listen);
  }, keys);
}

export const Problem = ({error}) => error && html`<p class="problem" role="alert">${words(error.message)}</p>`;
export const go = path => { location.hash = path; };
