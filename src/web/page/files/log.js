// A log in windows: only some hundred lines are in the document. It opens at its end; any place is a number of bytes (V71).
import {useEffect, useLayoutEffect, useRef, useState} from './vendor/hooks.js';
import {download, get, search as searchLogs} from './api.js';
import {Problem, html, size, useKeys, words} from './ui.js';

const kWindow = 150, kStep = 75;     // lines in the document, lines that are added at an edge
export const kFirstLines = {count: kWindow};  // the query of a log that opens at its end
const kFold = 4096;                  // characters of a line that are shown at once
const kFar = 128 << 10;              // bytes behind the end from which on following jumps to it
const kPause = 100;                  // ms between two looks at a log that grows

const names = ['bold', 'dim', 'italic', 'underline', 'blink', 'inverse', 'conceal', 'strike'];
function cube(n) {
  if (n >= 232) { const grey = 8 + (n - 232) * 10; return `rgb(${grey},${grey},${grey})`; }
  const part = [n - 16, n - 16, n - 16].map((v, i) => Math.floor(v / [36, 6, 1][i]) % 6).map(v => (v ? 55 + v * 40 : 0));
  return `rgb(${part.join(',')})`;
}

function Run({run}) {
  if (typeof run === 'string') return run;
  const classes = names.filter((_, i) => run.a & (1 << i)).map(name => `x-${name}`);
  const style = {};
  for (const [key, property, short] of [['f', 'color', 'f'], ['b', 'backgroundColor', 'b']]) {
    const colour = run[key];
    if (typeof colour === 'number' && colour < 16) classes.push(`${short}-${colour}`);
    else if (colour !== undefined) style[property] = typeof colour === 'number' ? cube(colour) : colour;
  }
  // A colour of the command's own stands on its own ground: it may be as dark as the page.
  if (style.color && !style.backgroundColor && run.b === undefined) classes.push('x-own');
  return html`<span class=${classes.join(' ')} style=${style}>${run.t}</span>`;
}

const textOf = line => line.runs.map(run => (typeof run === 'string' ? run : run.t)).join('');

function Line({line, hit}) {
  const [whole, set] = useState(false);
  if (line.gap !== undefined) return html`<div class="line gap" data-at=${line.at}>── ${size(line.gap)} were not kept here ──</div>`;
  const text = textOf(line);
  const folded = text.length > kFold && !whole;
  const shown = folded ? [text.slice(0, kFold)] : line.runs;
  return html`<div class="line ${hit ? 'is-hit' : ''}" data-at=${line.at}>${shown.map(run => html`<${Run} run=${run}/>`)}${text === '' ? '\u200b' : ''}${folded && html`<button class="fold" onClick=${() => set(true)}>… ${text.length - kFold} more characters</button>`}</div>`;
}

export function Log({session, id, place, running, jump}) {
  const [lines, setLines] = useState([]);
  const [info, setInfo] = useState({size: 0, ended: false});
  const [follow, setFollow] = useState(place === undefined && running);
  const [wrap, setWrap] = useState(true);
  const [error, setError] = useState(null);
  const [pattern, setPattern] = useState('');
  const [mode, setMode] = useState({regex: false, exact: false, filter: false});
  const [found, setFound] = useState(null);     // {hits, total, current}
  const [searching, setSearching] = useState('');
  const box = useRef(null), find = useRef(null), pin = useRef(null), state = useRef({lines: [], busy: false, generation: 0});
  const base = `/sessions/${session}/tasks/${id}`;
  const s = state.current;
  s.follow = follow;

  // What is put in keeps its place on the screen: one line that stays is pinned.
  const put = (next, how) => {
    if (how === 'keep') {
      const top = box.current.getBoundingClientRect().top;
      const still = [...box.current.querySelectorAll('.line')].find(e => e.getBoundingClientRect().bottom > top && next.some(line => String(line.at) === e.dataset.at));
      pin.current = still && {at: still.dataset.at, y: still.getBoundingClientRect().top};
    } else { pin.current = how; }
    s.lines = next;
    setLines(next);
  };
  useLayoutEffect(() => {
    const list = box.current, how = pin.current;
    pin.current = null;
    if (!how) return;
    if (how === 'end') { list.scrollTop = list.scrollHeight; return; }
    const line = list.querySelector(`[data-at="${how.at}"]`);
    if (!line) return;
    if (how.y !== undefined) list.scrollTop += line.getBoundingClientRect().top - how.y;
    else list.scrollTop += line.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 3;
  }, [lines]);

  const look = async query => {
    const answer = await get(base + '/lines', query);
    setInfo({size: answer.size, ended: answer.ended});
    s.size = answer.size;
    s.eof = answer.eof;
    return answer;
  };
  const toEnd = async () => {
    const mine = ++s.generation;
    const answer = await look(kFirstLines);
    if (mine === s.generation) put(answer.lines, 'end');
  };
  const toPlace = async at => {
    setFollow(false);
    const mine = ++s.generation;
    const [before, after] = await Promise.all([look({at, back: true, count: kStep}), look({at, count: kStep})]);
    if (mine !== s.generation) return;
    const first = after.lines[0]?.at ?? at;
    const all = [...before.lines.filter(line => line.at < first), ...after.lines];
    const target = [...all].reverse().find(line => line.at <= at) ?? all[0];
    put(all, target && {at: String(target.at)});
  };
  const guard = f => async (...args) => { try { setError(null); await f(...args); } catch (e) { setError(e); } };

  useLayoutEffect(() => {
    guard(place === undefined ? toEnd : toPlace)(place);
    return () => { s.closed = true; s.generation++; s.search?.abort(); };
  }, []);

  // Following: one look at a time, at most ten a second; who is too far behind goes to the end.
  useEffect(() => {
    if (!follow) return undefined;
    let stopped = false;
    (async () => {
      await guard(toEnd)();
      for (let pause = kPause; !stopped && !s.eof;) {
        try {
          const mine = s.generation, end = s.lines.at(-1);
          const at = end === undefined ? 0 : end.open ? end.at : end.next;
          const begun = performance.now();
          const answer = await look({at, count: 500, seen: s.size, waitMs: 5000});
          if (stopped || mine !== s.generation) return;
          const behind = answer.size - (answer.lines.at(-1)?.next ?? at);
          if (behind > kFar) await toEnd();
          else if (answer.lines.length > 0) {
            const kept = s.lines.filter(line => line.at < answer.lines[0].at);
            put([...kept, ...answer.lines].slice(-kWindow), 'end');
          }
          setError(null);
          await new Promise(done => setTimeout(done, Math.max(0, kPause - (performance.now() - begun))));
          pause = kPause;
        } catch (e) {
          if (e.status) { setError(e); return; }
          await new Promise(done => setTimeout(done, pause = Math.min(5000, pause * 2)));
        }
      }
    })();
    return () => { stopped = true; };
  }, [follow]);

  const grow = async back => {
    if (s.busy || s.lines.length === 0) return;
    s.busy = true;
    try {
      const mine = s.generation;
      if (back && s.lines[0].at > 0) {
        const answer = await look({at: s.lines[0].at, back: true, count: kStep});
        if (mine === s.generation && answer.lines.length > 0) put([...answer.lines, ...s.lines].slice(0, kWindow), 'keep');
      } else if (!back && !s.follow) {
        const end = s.lines.at(-1);
        const answer = end.next < s.size || !s.eof ? await look({at: end.open ? end.at : end.next, count: kStep}) : {lines: []};
        const kept = answer.lines.length > 0 ? s.lines.filter(line => line.at < answer.lines[0].at) : [];
        if (mine === s.generation && answer.lines.length > 0) put([...kept, ...answer.lines].slice(-kWindow), 'keep');
      }
    } catch (e) { setError(e); }
    s.busy = false;
  };
  const scrolled = () => {
    const list = box.current;
    if (list.scrollTop < 400 && !s.follow) grow(true);
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 400 && !s.follow) grow(false);
  };
  // Scrolling up by a hand ends following.
  const wheel = up => { if (up && s.follow) setFollow(false); };

  const search = async event => {
    event?.preventDefault();
    s.search?.abort();
    if (pattern === '') { setFound(null); setSearching(''); return; }
    const mine = s.search = new AbortController(), hits = [];
    const show = more => setFound(f => ({...f, hits: [...hits], total: hits.length, ...more}));
    let timer = null;
    setSearching('Searching…');
    setFound({hits, total: 0, current: 0});
    try {
      const query = {pattern, mode: mode.regex ? 'regex' : 'text', case: mode.exact ? 'exact' : 'smart', limit: 1000};
      const end = await searchLogs(base + '/search', query, mine.signal, (type, what) => {
        if (type === 'progress') { setSearching(`Searching… ${size(what.bytes)}`); return; }
        hits.push(what);
        if (hits.length === 1 && !mode.filter) guard(toPlace)(what.offset);
        timer ??= setTimeout(() => { timer = null; if (s.search === mine) show(); }, kPause);
      });
      clearTimeout(timer);
      if (s.search === mine) show({total: end.total});
    } catch (e) {
      clearTimeout(timer);
      if (!mine.signal.aborted) setError(e);
    }
    if (s.search === mine) setSearching('');
  };
  const step = by => {
    if (!found?.hits.length) return;
    const current = (found.current + by + found.hits.length) % found.hits.length;
    setFound({...found, current});
    guard(toPlace)(found.hits[current].offset);
  };
  const failure = guard(async () => { const answer = await get(base + '/failure'); await toPlace(answer.offset); });
  useEffect(() => { if (jump === 'failure') failure(); }, [jump]);
  useKeys({
    '/': () => find.current.focus(), n: () => step(1), N: () => step(-1), F: () => setFollow(f => !f), w: () => setWrap(v => !v),
    '&': () => setMode(m => ({...m, filter: !m.filter})), e: () => failure(),
    g: () => guard(toPlace)(0), Home: () => guard(toPlace)(0), G: () => guard(toEnd)(), End: () => guard(toEnd)(),
    j: () => { box.current.scrollTop += 20; }, k: () => { wheel(true); box.current.scrollTop -= 20; },
    ArrowUp: () => { wheel(true); box.current.scrollTop -= 40; }, PageUp: () => { wheel(true); box.current.scrollTop -= box.current.clientHeight; },
    ArrowDown: () => { box.current.scrollTop += 40; }, PageDown: () => { box.current.scrollTop += box.current.clientHeight; },
  }, [found, follow]);

  const hitAt = found?.hits?.[found.current]?.offset;
  const toggle = (label, name) => html`<label class="check"><input type="checkbox" checked=${mode[name]} onChange=${e => setMode({...mode, [name]: e.target.checked})}/> ${label}</label>`;
  const first = lines[0]?.at ?? 0;
  return html`<section class="log" aria-label="Log">
    <form class="bar" onSubmit=${search} role="search"><label class="grow">Find in the log <input ref=${find} type="search" value=${pattern} onInput=${e => setPattern(e.target.value)}/></label>
      ${toggle('regular expression', 'regex')}${toggle('exact case', 'exact')}${toggle('only lines found', 'filter')}
      <button>Find</button>${found && html`<span class="count" role="status">${found.hits.length ? found.current + 1 : 0} of ${found.total}</span>
      <button type="button" aria-label="Previous" onClick=${() => step(-1)}>↑</button><button type="button" aria-label="Next" onClick=${() => step(1)}>↓</button>`}${searching}</form>
    <div class="bar"><button onClick=${failure}>To the failure</button><button onClick=${() => guard(toPlace)(0)}>Start</button><button onClick=${() => guard(toEnd)()}>End</button><button onClick=${() => guard(download)(base)}>Download</button>
      <label class="check"><input type="checkbox" checked=${follow} onChange=${e => setFollow(e.target.checked)}/> follow</label>
      <label class="check"><input type="checkbox" checked=${wrap} onChange=${e => setWrap(e.target.checked)}/> wrap</label>
      <label class="grow place">Place <input type="range" min="0" max="1000" value=${info.size ? Math.round(first / info.size * 1000) : 0} onChange=${e => guard(toPlace)(Math.floor(info.size * e.target.value / 1000))}/></label></div>
    <${Problem} error=${error}/>
    ${mode.filter && found && html`<ul class="hits" tabindex="0" aria-label="Lines found">${found.hits.map(hit => html`<li><button class="plain" onClick=${() => { setMode({...mode, filter: false}); guard(toPlace)(hit.offset); }}>${hit.line ? html`<span class="number">${hit.line}</span>` : ''}${words(hit.text)}</button></li>`)}</ul>`}
    <div class="text ${wrap ? 'is-wrapped' : ''}" ref=${box} tabindex="0" role="region" aria-label="Output" onScroll=${scrolled} onWheel=${e => wheel(e.deltaY < 0)} onTouchMove=${() => wheel(true)}>
      ${lines.map(line => html`<${Line} key=${line.at} line=${line} hit=${hitAt >= line.at && hitAt < line.next}/>`)}${lines.length === 0 && html`<p class="none">No output.</p>`}</div>
    <p class="foot"><span>${follow && !info.ended ? 'following ●' : info.ended ? 'ended' : 'not following'}</span><span data-size=${info.size} data-last=${lines.at(-1)?.next ?? 0}>${size(info.size)}</span><span>from byte ${first}</span></p></section>`;
}
