// The tasks of a session: of any number of rows only those in sight are in the document.
import {useEffect, useLayoutEffect, useMemo, useRef, useState} from './vendor/hooks.js';
import {get} from './api.js';
import {QuickAnswer} from './question.js';
import {Problem, Status, ended, go, html, size, span, statuses, useClock, useKeys, words} from './ui.js';

const kPage = 200;
const kept = () => JSON.parse(sessionStorage.getItem('perdure-filter') ?? '{"sort":"started"}');
export const firstQuery = () => ({...kept(), limit: kPage});
const narrow = matchMedia('(max-width: 640px)');

function detail(row) {
  if (row.status === 'queued') return row.queuePlace ? `place ${row.queuePlace}` : '';
  const parts = [];
  if (row.signal) parts.push(`signal ${row.signal}`);
  else if (row.exitCode) parts.push(`exit ${row.exitCode}`);
  if (row.outputBytes) parts.push(size(row.outputBytes));
  if (row.flags.includes('runnerGone')) parts.push('runner gone');
  if (row.flags.includes('leftovers')) parts.push('left processes');
  if (row.flags.includes('undelivered')) parts.push('not told yet');
  return parts.join(' · ');
}

/** Rows in the order of the server, loaded as far as was looked at, and kept as they change. */
function useRows(session, query, listen) {
  const [state, set] = useState({rows: [], counts: null, total: 0});
  const store = useRef(null);
  useLayoutEffect(() => {
    const mine = store.current = {rows: [], at: new Map(), next: undefined, busy: false, closed: false, wanted: 0, counts: null, total: 0};
    const path = `/sessions/${session}/tasks`;
    const show = error => { if (!mine.closed) set({rows: mine.rows, counts: mine.counts, total: mine.total, error}); };
    const index = () => { mine.at = new Map(mine.rows.map((row, i) => [row.id, i])); };
    const take = page => Object.assign(mine, {counts: page.counts, total: page.total});
    mine.load = async upTo => {
      mine.wanted = Math.max(mine.wanted, upTo);
      if (mine.busy) return;
      mine.busy = true;
      try {
        while (!mine.closed && mine.rows.length < mine.wanted && (mine.next || !mine.begun)) {
          const far = mine.wanted - mine.rows.length > kPage;
          const page = await get(path, {...query, limit: mine.begun && far ? 1000 : kPage, after: mine.next});
          mine.begun = true;
          take(page);
          for (const row of page.rows) if (!mine.at.has(row.id)) { mine.at.set(row.id, mine.rows.length); mine.rows.push(row); }
          mine.next = page.next;
          show();
        }
      } catch (error) { show(error); }
      mine.busy = false;
    };
    // The first page again: what is new stands there, and the counts.
    let timer = null, last = 0;
    const again = () => {
      if (timer || mine.closed) return;
      timer = setTimeout(async () => {
        timer = null;
        last = Date.now();
        try {
          const page = await get(path, {...query, limit: kPage});
          take(page);
          const fresh = new Set(page.rows.map(row => row.id));
          const whole = !page.next;
          // In a page that is full, what stood behind its last row stays.
          mine.rows = whole ? page.rows : [...page.rows, ...mine.rows.filter(row => !fresh.has(row.id)).slice(0, Math.max(0, mine.rows.length - page.rows.length))];
          if (mine.rows.length <= page.rows.length) mine.next = page.next;
          mine.begun = true;
          index();
          show();
        } catch (error) { if (error.status) show(error); }
      }, Math.max(100, 1000 - (Date.now() - last)));
    };
    const unlisten = listen((type, {row}) => {
      if (row && mine.at.has(row.id)) {
        mine.rows[mine.at.get(row.id)] = row;
        mine.rows = mine.rows.slice();
        show();
      }
      again();
    });
    mine.load(1);
    return () => { mine.closed = true; clearTimeout(timer); unlisten(); };
  }, [session, JSON.stringify(query)]);
  return [state, upTo => store.current?.load(upTo)];
}

function Row({row, place, top, height, chosen, at, session, server, now}) {
  const time = row.status === 'queued' ? '' : span(ended(row.status) ? row.durationMs : now - row.startedAt);
  return html`<div role="row" aria-rowindex=${place + 2} class="row ${chosen ? 'is-chosen' : ''}" style=${{top: `${top}px`, height: `${height}px`}} data-id=${row.id}>
    <div role="cell" class="c-status"><${Status} row=${row}/></div>
    <div role="cell" class="c-what"><a id=${`row-${row.id}`} tabindex=${chosen ? 0 : -1} href=${`${at}/t/${row.id}`}>${words(row.description) || row.id}</a>
      ${row.kind === 'question' && row.status === 'running' && server.act && html`<${QuickAnswer} session=${session} id=${row.id} at=${at}/>`}</div>
    <div role="cell" class="c-kind">${words(row.kind)}</div>
    <div role="cell" class="c-detail">${detail(row)}</div>
    <div role="cell" class="c-time">${time}</div></div>`;
}

export function Tasks({server, session, at, listen}) {
  const [query, setQuery] = useState(kept);
  const [text, setText] = useState(query.q ?? '');
  const [{rows, counts, total, error}, load] = useRows(session, query, listen);
  const [view, setView] = useState({top: 0, height: 600});
  const [chosen, choose] = useState(null);
  const [small, setSmall] = useState(narrow.matches);
  const box = useRef(null), find = useRef(null);
  const kRow = small ? 68 : 36;
  const now = useClock((counts?.running ?? 0) > 0);
  const filter = change => {
    const next = {...query, ...change};
    sessionStorage.setItem('perdure-filter', JSON.stringify(next));
    setQuery(next);
  };
  useEffect(() => {
    const timer = setTimeout(() => { if (text !== (query.q ?? '')) filter({q: text}); }, 250);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    const listenTo = () => setSmall(narrow.matches);
    narrow.addEventListener('change', listenTo);
    const list = box.current;
    const observer = new ResizeObserver(() => setView(v => ({...v, height: list.clientHeight})));
    observer.observe(list);
    return () => { narrow.removeEventListener('change', listenTo); observer.disconnect(); };
  }, []);
  const first = Math.max(0, Math.floor(view.top / kRow) - 6);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / kRow) + 6);
  useLayoutEffect(() => { load(Math.ceil((view.top + view.height) / kRow) + 40); }, [view.top, view.height, rows.length]);
  const place = useMemo(() => Math.max(0, rows.findIndex(row => row.id === chosen)), [rows, chosen]);
  const current = rows[place]?.id;
  // A key may come before the key before it is drawn: it goes on from where that one led.
  const newest = useRef(null);
  newest.current = chosen;
  const here = () => Math.max(0, rows.findIndex(row => row.id === newest.current));
  const wantsFocus = useRef(false);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    document.getElementById(`row-${current}`)?.focus({preventScroll: true});
  });
  const move = to => {
    if (rows.length === 0) return;
    const next = Math.max(0, Math.min(rows.length - 1, to));
    wantsFocus.current = true;
    newest.current = rows[next].id;
    choose(newest.current);
    const y = next * kRow, list = box.current;
    if (y < list.scrollTop) list.scrollTop = y;
    if (y + kRow > list.scrollTop + list.clientHeight) list.scrollTop = y + kRow - list.clientHeight;
    setView(v => ({...v, top: list.scrollTop}));
  };
  const many = Math.max(1, Math.floor(view.height / kRow) - 1);
  useKeys({
    j: () => move(here() + 1), k: () => move(here() - 1), ArrowDown: () => move(here() + 1), ArrowUp: () => move(here() - 1),
    PageDown: () => move(here() + many), PageUp: () => move(here() - many), g: () => move(0), G: () => move(rows.length - 1),
    Home: () => move(0), End: () => move(rows.length - 1), '/': () => find.current.focus(), f: () => find.current.focus(),
    l: () => current && go(`${at}/t/${current}`), Escape: () => { document.activeElement.blur(); },
    Enter: event => (event.target.closest('a, button') || !current ? false : go(`${at}/t/${current}`)),
    a: () => go(`${at}/news`),
    t: () => filter({status: query.status ? '' : 'queued,running'}),
  }, [rows, place, many, session, query]);
  const choice = (name, label, values) => html`<label>${label} <select value=${query[name] ?? ''} onChange=${e => filter({[name]: e.target.value})}>
    ${values.map(([value, shown]) => html`<option value=${value}>${shown}</option>`)}</select></label>`;
  const known = [['', 'any'], ['queued,running', 'active'], ...statuses.map(s => [s, s.replace('_', ' ')])];
  const kinds = [['', 'any'], ['process', 'process'], ['agent', 'agent'], ['question', 'question']];
  const sorts = ['started', 'ended', 'duration', 'status'].map(s => [s, s]);
  return html`<main id="main" tabindex="-1" class="tasks"><h1 class="hidden">Tasks</h1>
    <div class="bar"><label class="grow">Find <input ref=${find} type="search" value=${text} onInput=${e => setText(e.target.value)} placeholder="id, description, command"/></label>
      ${choice('status', 'Status', known)}${choice('kind', 'Kind', kinds)}${choice('sort', 'Sort', sorts)}</div>
    <p class="counts">${counts ? statuses.filter(s => counts[s]).map(s => html`<span>${counts[s]} ${s.replace('_', ' ')}</span>`) : 'Loading…'}${counts && total !== undefined ? html`<span>${total} shown</span>` : ''}</p>
    <${Problem} error=${error}/>
    <div class="list" ref=${box} role="table" aria-label="Tasks" aria-rowcount=${total + 1} tabindex="0" onScroll=${e => setView({top: e.target.scrollTop, height: e.target.clientHeight})}>
      <div role="rowgroup"><div role="row" class="row titles" aria-rowindex="1">
        ${[['status', 'Status'], ['what', 'Task'], ['kind', 'Kind'], ['detail', 'Details'], ['time', 'Time']].map(([c, name]) => html`<div role="columnheader" class=${`c-${c}`}>${name}</div>`)}</div></div>
      <div role="rowgroup" class="rows" style=${{height: `${Math.max(rows.length, total) * kRow}px`}}>
        ${rows.slice(first, last).map((row, i) => html`<${Row} key=${row.id} row=${row} place=${first + i} top=${(first + i) * kRow} height=${kRow} chosen=${row.id === current} at=${at} session=${session} server=${server} now=${now}/>`)}
        ${counts && total === 0 && html`<div role="row" class="row" style=${{top: 0}}><div role="cell" class="c-what">No task matches.</div></div>`}</div></div></main>`;
}
