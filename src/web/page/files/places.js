// Sessions, search over all logs, notifications, help.
import {useEffect, useRef, useState} from './vendor/hooks.js';
import {get, search as searchLogs} from './api.js';
import {Problem, html, moment, paragraphs, statuses, useKeys, useLoaded, go, words} from './ui.js';

function Doctor({session}) {
  const [open, set] = useState(false);
  const {value, error} = useLoaded(() => (open ? get(`/sessions/${session}/doctor`) : Promise.resolve(null)), [open]);
  if (!open) return html`<button onClick=${() => set(true)}>Examine</button>`;
  return html`<${Problem} error=${error}/>${value && (value.findings.length === 0 ? 'Nothing is wrong.' : html`<ul>${value.findings.map(f => html`<li><b>${f.level}</b> ${words(f.what)}: ${words(f.text)}</li>`)}</ul>`)}`;
}

export function Sessions({at}) {
  const {value, error} = useLoaded(() => get('/sessions'), []);
  useKeys({h: () => go(at), Escape: () => go(at)}, [at]);
  return html`<main id="main" tabindex="-1"><h1>Sessions</h1><${Problem} error=${error}/>${!value && !error && html`<p>Loading…</p>`}
    <ul class="cards">${(value?.sessions ?? []).map(s => html`<li><h2><a href=${`#/s/${s.id}`}>${words(s.path)}</a></h2>
      <p><span>${words(s.program)}</span>${statuses.filter(name => s.counts[name]).map(name => html`<span>${s.counts[name]} ${name.replace('_', ' ')}</span>`)}<span>${s.lastChange ? `last change ${moment(s.lastChange)}` : 'nothing yet'}</span></p>
      <${Doctor} session=${s.id}/></li>`)}</ul></main>`;
}

export function Search({session, at}) {
  const [pattern, set] = useState('');
  const [regex, setRegex] = useState(false);
  const [state, show] = useState({});
  const running = useRef(null);
  useKeys({h: () => go(at), Escape: () => go(at)}, [at]);
  const search = async event => {
    event.preventDefault();
    running.current?.abort();
    if (!pattern) return;
    const mine = running.current = new AbortController(), hits = [], tasks = new Set();
    const found = more => ({value: {hits: [...hits], total: hits.length, tasks: tasks.size, ...more}});
    let timer = null;
    show({busy: true});
    try {
      const query = {pattern, mode: regex ? 'regex' : 'text', limit: 200};
      const end = await searchLogs(`/sessions/${session}/search`, query, mine.signal, (type, hit) => {
        if (type !== 'hit') return;
        hits.push(hit);
        tasks.add(hit.id);
        timer ??= setTimeout(() => { timer = null; if (running.current === mine) show({...found(), busy: true}); }, 100);
      });
      clearTimeout(timer);
      if (running.current === mine) show(found(end));
    } catch (error) {
      clearTimeout(timer);
      if (!mine.signal.aborted) show({error});
    }
  };
  useEffect(() => () => running.current?.abort(), []);
  const {value, error, busy} = state;
  return html`<main id="main" tabindex="-1"><h1>Search in all logs</h1>
    <form class="bar" role="search" onSubmit=${search}><label class="grow">Find <input type="search" value=${pattern} onInput=${e => set(e.target.value)}/></label>
      <label class="check"><input type="checkbox" checked=${regex} onChange=${e => setRegex(e.target.checked)}/> regular expression</label><button>Find</button>${busy && html`<button type="button" onClick=${() => { running.current.abort(); show({...state, busy: false}); }}>Enough</button>`}</form>
    <p role="status">${busy ? 'Searching…' : value ? `${value.total} found in ${value.tasks} tasks${value.hits.length < value.total ? `, the first ${value.hits.length} are shown` : ''}` : ''}</p><${Problem} error=${error}/>
    <ul class="hits">${(value?.hits ?? []).map(hit => html`<li><a href=${`${at}/t/${hit.id}/o/${hit.offset}`}><span class="number">${hit.id}${hit.line ? `:${hit.line}` : ''}</span>${words(hit.text)}</a></li>`)}</ul></main>`;
}

export function News({session, at}) {
  const {value: news, error} = useLoaded(() => get(`/sessions/${session}/notifications`), [session]);
  const {value: open} = useLoaded(() => get(`/sessions/${session}/tasks`, {kind: 'question', status: 'running'}), [session]);
  useKeys({h: () => go(at), Escape: () => go(at)}, [at]);
  return html`<main id="main" tabindex="-1"><h1>Notifications</h1><${Problem} error=${error}/>
    <h2>Open questions</h2><ul class="cards">${(open?.rows ?? []).map(row => html`<li><a href=${`${at}/t/${row.id}`}>${words(row.description)}</a></li>`)}${open?.rows.length === 0 && html`<li>None.</li>`}</ul>
    <h2>Endings that their owners have not been told of</h2>
    <ul class="cards">${(news?.notifications ?? []).map(n => html`<li><h3>${n.tasks?.length === 1 ? html`<a href=${`${at}/t/${n.tasks[0]}`}>${words(n.title)}</a>` : words(n.title)}</h3><p><span>${words(n.severity)}</span>${n.owner && html`<span>for ${words(n.owner)}</span>`}</p><p class="asked">${paragraphs(n.body)}</p></li>`)}
    ${news?.notifications.length === 0 && html`<li>None.</li>`}</ul></main>`;
}

const keys = [['j k ↑ ↓ PgUp PgDn', 'move'], ['g G Home End', 'first and last, start and end of the log'], ['Enter l', 'open a task'], ['h Esc', 'back'], ['/ f', 'find'], ['n N', 'next and previous hit in the log'], ['&', 'only the lines found'],
  ['e', 'to the failure in the log'], ['F', 'follow'], ['w', 'wrap'], ['t', 'all or active tasks'], ['a', 'notifications and open questions'], ['s then Yes', 'stop'], ['+', 'a deadline 10 minutes from now'], ['d then Yes', 'remove'], ['p A', 'processes, activity'], ['?', 'this help']];
export function Help({at}) {
  useKeys({h: () => go(at), Escape: () => go(at)}, [at]);
  return html`<main id="main" tabindex="-1"><h1>Keys</h1><dl class="details">${keys.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
    <p>Everything here is in files: this server may be ended at any time, and the tasks run on.</p></main>`;
}
