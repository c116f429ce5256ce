// The server: login, requests, events. No cookie, no state that matters: everything is in the session's files.
const kToken = 'perdure-token';

export const token = () => sessionStorage.getItem(kToken) ?? '';
export const forget = () => sessionStorage.removeItem(kToken);

/** What stands behind `#t=` is a link's token, valid once; it leaves the address bar before it is used (V40). */
export async function login(link) {
  const response = await fetch('/login', {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Perdure': '1'}, body: JSON.stringify({token: link})});
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  sessionStorage.setItem(kToken, body.token);
}

export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `status ${status}`);
    Object.assign(this, {status, code: body.code, details: body.details ?? {}});
  }
}

let onLogout = () => {};
export const whenLoggedOut = f => { onLogout = f; };

export async function ask(method, path, body, options = {}) {
  const headers = {Authorization: `Bearer ${options.token ?? token()}`};
  if (method !== 'GET') Object.assign(headers, {'Content-Type': 'application/json', 'X-Perdure': '1'});
  const response = await fetch('/api/v1' + path, {method, headers, body: body && JSON.stringify(body), signal: options.signal});
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401 && !options.token) onLogout();
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

const withQuery = (path, query) => {
  const text = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== '' && v !== null)).toString();
  return path + (text ? `?${text}` : '');
};
// Answers that were asked for before the screen that wants them is there.
const early = new Map();
const kEarly = 3000;

/** Asks now for what a screen will ask at its start: it shows a way there and back sooner. */
export function foresee(path, query = {}) {
  const where = withQuery(path, query), answer = ask('GET', where);
  answer.catch(() => {}); // told by who wants it
  early.set(where, answer);
  setTimeout(() => early.delete(where), kEarly); // it would be old
}

export function get(path, query = {}, options = {}) {
  const where = withQuery(path, query), soon = early.get(where);
  early.delete(where);
  return soon ?? ask('GET', where, undefined, options);
}
export const post = (path, body) => ask('POST', path, body ?? {});

/** Server-sent events, read by hand: EventSource cannot send Authorization. */
async function stream(path, signal, tell) {
  const response = await fetch('/api/v1' + path, {headers: {Authorization: `Bearer ${token()}`, Accept: 'text/event-stream'}, signal});
  if (response.status === 401) onLogout();
  if (!response.ok) throw new Refused(response.status, await response.json());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new Error('the stream ended');
    left += value;
    for (let end = left.indexOf('\n\n'); end >= 0; end = left.indexOf('\n\n')) {
      const event = {type: 'message', data: ''};
      for (const line of left.slice(0, end).split('\n')) {
        if (line.startsWith('event: ')) event.type = line.slice(7);
        if (line.startsWith('id: ')) event.id = line.slice(4);
        if (line.startsWith('data: ')) event.data += line.slice(6);
      }
      left = left.slice(end + 2);
      tell(event);
    }
  }
}

/** Hits as they are found; resolves with {total, tasks}. Who asks anew, or goes away, raises the signal. */
export async function search(path, query, signal, tell) {
  let end = null;
  try {
    await stream(withQuery(path, query), signal, ({type, data}) => {
      const what = JSON.parse(data);
      if (type === 'end') end = what;
      else if (type === 'problem') throw new Error(what.detail);
      else tell(type, what);
    });
  } catch (error) { if (!end) throw error; }
  return end;
}

/** Has the browser save a whole log: the URL is good for one look. */
export async function download(path) {
  const {url} = await post(path + '/download');
  const link = document.createElement('a');
  link.href = url;
  link.download = '';
  document.body.append(link);
  link.click();
  link.remove();
}

/** Events of a session for as long as a page looks. Tabs of one browser share one stream: the tab that has the lock reads
 *  and tells the others; a hidden page lets go of it (V45). What broke comes back after 1 to 15 s, from the last number (V74). */
export function watch(session, tell, state) {
  const name = `perdure-${session}`;
  const channel = new BroadcastChannel(name);
  let closed = false, abort = null, since;
  const heard = event => {
    if (event.id) since = event.id;
    if (event.state !== undefined) state(event.state);
    else if (event.type !== 'message') tell(event);
  };
  channel.onmessage = ({data}) => heard(data);
  const say = event => { heard(event); channel.postMessage(event); };
  async function lead() {
    let pause = 1000;
    while (!abort.signal.aborted) {
      try {
        await stream(`/events?session=${session}${since ? `&since=${since}` : ''}`, abort.signal, event => {
          pause = 1000;
          if (event.type === 'begun') say({state: true, id: event.id});
          else say(event);
        });
      } catch (error) {
        if (abort.signal.aborted || error.status === 401) return;
        say({state: false});
      }
      const wait = pause;
      await new Promise(done => {
        const timer = setTimeout(done, wait);
        abort.signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, {once: true});
      });
      pause = Math.min(15000, pause * 2);
    }
  }
  function begin() {
    if (closed || abort || document.hidden) return;
    const mine = abort = new AbortController();
    if (!navigator.locks) { lead(); return; }
    state(null);
    navigator.locks.request(name, {signal: mine.signal}, lead).catch(() => {});
  }
  function end() {
    abort?.abort();
    abort = null;
  }
  const seen = () => { if (document.hidden) end(); else { begin(); tell({type: 'reset'}); } };
  document.addEventListener('visibilitychange', seen);
  begin();
  return () => {
    closed = true;
    document.removeEventListener('visibilitychange', seen);
    end();
    channel.close();
  };
}
