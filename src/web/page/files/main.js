// The shell: which screen, the head of the page, the stream of events, what a screen reader is told.
import {render} from './vendor/preact.js';
import {useEffect, useLayoutEffect, useState} from './vendor/hooks.js';
import {foresee, forget, get, login, token, watch, whenLoggedOut} from './api.js';
import {AnswerPage} from './question.js';
import {Help, News, Search, Sessions} from './places.js';
import {kFirstLines} from './log.js';
import {Task} from './task.js';
import {Tasks, firstQuery} from './tasks.js';
import {Problem, go, html, useKeys, words} from './ui.js';

const listeners = new Set();
/** Screens hear events of the session here. */
export const onEvent = f => { listeners.add(f); return () => listeners.delete(f); };

function useHash() {
  const [hash, set] = useState(location.hash);
  useEffect(() => {
    const listen = () => set(location.hash);
    addEventListener('hashchange', listen);
    return () => removeEventListener('hashchange', listen);
  }, []);
  return hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
}

function useTheme() {
  const [theme, set] = useState(localStorage.getItem('perdure-theme') ?? 'system');
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem('perdure-theme', theme);
  }, [theme]);
  return [theme, set];
}

function Login({why}) {
  return html`<main class="narrow" id="main"><h1>perdure</h1>
    <p>This page needs a link that logs it in. On the machine itself run</p>
    <pre tabindex="0">perdure web --link</pre>
    <p>and open what it prints: a link is valid for 10 minutes, and once.</p>
    <${Problem} error=${why && new Error(why)}/></main>`;
}

function notify(row) {
  if (!document.hidden || localStorage.getItem('perdure-notify') !== 'on' || Notification.permission !== 'granted') return;
  new Notification(`${row.status.replace('_', ' ')}: ${words(row.description)}`, {tag: row.id});
}

function Shell({server}) {
  const [screen, ...rest] = useHash();
  const session = screen === 's' && rest[0] ? rest[0] : server.session;
  const what = screen === 's' ? rest.slice(1) : [screen];
  const [live, setLive] = useState(null);
  const [said, say] = useState('');
  const [theme, setTheme] = useTheme();
  useEffect(() => watch(session, event => {
    const data = event.data ? JSON.parse(event.data) : {};
    const row = data.row;
    if (row && event.type === 'task.terminated') { say(`${row.status.replace('_', ' ')}: ${words(row.description)}`); notify(row); }
    if (row && event.type === 'task.started' && row.kind === 'question') say(`A question: ${words(row.description)}`);
    for (const f of listeners) f(event.type, data);
  }, up => {
    setLive(up);
    // What happened meanwhile, whatever of it has a number.
    if (up) for (const f of listeners) f('reset', {});
  }), [session]);
  const at = `#/s/${session}`;
  useKeys({'?': () => go(`${at}/help`)}, [session]);
  const canNotify = 'Notification' in window && isSecureContext;
  const screens = {t: Task, search: Search, news: News, sessions: Sessions, help: Help};
  const Screen = screens[what[0]] ?? Tasks;
  useEffect(() => { document.title = `perdure · ${server.host}`; document.getElementById('main')?.focus({preventScroll: true}); }, [what[0], what[1], session]);
  const link = (path, name, current) => html`<a href=${path} aria-current=${current ? 'page' : undefined}>${name}</a>`;
  return html`<header class="head"><a class="skip" href=${location.hash} onClick=${e => { e.preventDefault(); document.getElementById('main').focus(); }}>To the content</a><b>perdure</b><span class="host">${words(server.host)}</span>
      <nav aria-label="Screens">${link(at, 'Tasks', Screen === Tasks || Screen === Task)}${link(`${at}/search`, 'Search', Screen === Search)}
        ${link(`${at}/news`, 'Notifications', Screen === News)}${link(`${at}/sessions`, 'Sessions', Screen === Sessions)}${link(`${at}/help`, 'Help', Screen === Help)}</nav>
      <span class="live ${live === false ? 'is-off' : ''}">${live === false ? '○ not connected' : '● live'}</span>
      <label class="theme">Theme <select value=${theme} onChange=${e => setTheme(e.target.value)}><option value="system">system</option><option value="light">light</option><option value="dark">dark</option></select></label>
      ${canNotify && html`<button class="notify" onClick=${async () => { if (await Notification.requestPermission() === 'granted') localStorage.setItem('perdure-notify', 'on'); }}>Notify me</button>`}
    </header>
    ${live === false && html`<p class="banner" role="status">The server does not answer. The tasks run on; this page connects again by itself.</p>`}
    <${Screen} key=${session + what.join('/')} server=${server} session=${session} at=${at} words=${what.slice(1)} listen=${onEvent}/>
    <div class="told" aria-live="polite" role="status">${said}</div>`;
}

function Root() {
  const [state, set] = useState({});
  // Here and in what it shows first: an effect would wait for a frame that shows nothing yet, each time.
  useLayoutEffect(() => {
    whenLoggedOut(() => { forget(); set({}); });
    (async () => {
      const link = /^#t=(.+)$/.exec(location.hash)?.[1];
      try {
        if (link) {
          history.replaceState(null, '', '/');
          await login(link);
          dispatchEvent(new Event('hashchange'));
        }
        if (token()) {
          const server = await get('/server');
          localStorage.setItem('perdure-session', server.session);
          set({server});
        }
        else set({out: true});
      } catch (error) {
        set({out: true, why: error.message});
      }
    })();
  }, []);
  if (state.server) return html`<${Shell} server=${state.server}/>`;
  return html`<${Login} why=${state.why}/>`;
}

// What the first screen needs is asked for at once, and not after what comes before it on the page has come.
if (token() && !/^#[at]=/.test(location.hash)) {
  const [, session = localStorage.getItem('perdure-session'), id, rest = ''] = /^#\/s\/([0-9a-f]{12})(?:\/t\/([^/]+)(\/.*)?)?$/.exec(location.hash) ?? [];
  foresee('/server');
  if (session && id) {
    foresee(`/sessions/${session}/tasks/${id}`, {previewBytes: 0});
    if (!rest) foresee(`/sessions/${session}/tasks/${id}/lines`, kFirstLines);
  } else if (session) { foresee(`/sessions/${session}/tasks`, firstQuery()); }
}

// A link that is opened where the page stands already changes the fragment only.
addEventListener('hashchange', () => { if (/^#[at]=/.test(location.hash)) location.reload(); });
const answer = /^#a=([^/]+)\/([^/]+)\/(.+)$/.exec(location.hash);
if (answer) history.replaceState(null, '', '/');
render(answer ? html`<${AnswerPage} session=${answer[1]} id=${answer[2]} link=${answer[3]}/>` : html`<${Root}/>`, document.getElementById('page'));
