// One task: its log, its question, what an agent did, its processes, its record; what may be done to it.
import {useLayoutEffect, useState} from './vendor/hooks.js';
import {ask, get, post} from './api.js';
import {Log} from './log.js';
import {Question} from './question.js';
import {Problem, Status, Sure, ended, go, html, moment, paragraphs, size, span, useClock, useKeys, useLoaded, words} from './ui.js';

function Activity({session, id}) {
  const {value, error} = useLoaded(() => get(`/sessions/${session}/tasks/${id}/activity`, {limit: 262144}), [id]);
  if (error) return html`<${Problem} error=${error}/>`;
  const lines = value?.lines ?? [];
  return html`<ol class="activity" tabindex="0" aria-label="Activity">${lines.map(line => html`<li><b>${words(line.type ?? line.event ?? '')}</b> <span class="asked">${paragraphs(line.text ?? line.title ?? line.message ?? JSON.stringify(line))}</span></li>`)}
    ${value && lines.length === 0 && html`<li>Nothing yet.</li>`}</ol>`;
}

function Processes({session, id}) {
  const [turn, again] = useState(0);
  const {value, error} = useLoaded(() => get(`/sessions/${session}/tasks/${id}/processes`), [id, turn]);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Processes"><button onClick=${() => again(turn + 1)}>Look again</button><${Problem} error=${error}/>
    <table><thead><tr><th scope="col">PID</th><th scope="col">Parent</th><th scope="col">State</th><th scope="col">CPU</th><th scope="col">Memory</th><th scope="col">Command</th></tr></thead>
    <tbody>${(value?.processes ?? []).map(p => html`<tr><td>${p.pid}</td><td>${p.ppid}</td><td>${p.state}</td><td>${span(p.cpuMs)}</td><td>${size(p.rss)}</td><td class="code">${words(p.command)}</td></tr>`)}
    ${value && value.processes.length === 0 && html`<tr><td colspan="6">None is alive.</td></tr>`}</tbody></table></div>`;
}

function Details({task}) {
  const from = task.timeoutFrom ?? task.startedAt;
  const steps = [['Queued', task.queuedAt], ['Started', task.startedAt], ['Deadline', task.timeoutMs && from ? from + task.timeoutMs : 0], ['Ended', task.endedAt]].filter(([, at]) => at);
  const known = [['Id', task.taskId], ['Kind', task.kind], ['Command', task.command], ['Folder', task.cwd], ['Exit status', task.exitCode], ['Signal', task.signal], ['Why it ended', task.stopReason],
    ['Evidence', task.lostEvidence], ['Owner', task.owner], ['Agent', task.agentId], ['Process', task.pid || undefined], ['Left processes', task.leftovers], ['Output', size(task.outputBytes)], ['Not kept', size(task.droppedBytes)],
    ...Object.entries(task.labels ?? {}).map(([name, value]) => [`Label ${name}`, value])].filter(([, v]) => v !== undefined && v !== null && v !== '');
  return html`<dl class="details">${steps.map(([name, at]) => html`<dt>${name}</dt><dd>${moment(at)}</dd>`)}${known.map(([name, value]) => html`<dt>${words(name)}</dt><dd class="asked">${paragraphs(value)}</dd>`)}</dl>`;
}

function Input({session, id}) {
  const [text, set] = useState('');
  const [error, fail] = useState(null);
  const send = () => post(`/sessions/${session}/tasks/${id}/write`, {data: text + '\n'}).then(() => { set(''); fail(null); }, fail);
  return html`<div class="bar"><label class="grow">Write to its input <input value=${text} onInput=${e => set(e.target.value)}/></label><${Sure} label="Write" ask="Write this line?" act=${send}/><${Problem} error=${error}/></div>`;
}

export function Task({server, session, at, words: [id, , place], listen}) {
  const [task, set] = useState(null);
  const [error, fail] = useState(null);
  const [tab, show] = useState(null);
  const [jump, setJump] = useState(null);
  const base = `/sessions/${session}/tasks/${id}`;
  const load = () => get(base, {previewBytes: 0}).then(answer => { set(answer.task); }, fail);
  useLayoutEffect(() => {
    load();
    return listen((type, {row}) => { if (type === 'reset' || row?.id === id) load(); });
  }, [id]);
  const runs = task !== null && !ended(task.status);
  const now = useClock(runs && task.status === 'running');
  const act = (method, path, body) => ask(method, base + path, body).then(() => { fail(null); load(); }, fail);
  useKeys({
    h: () => go(at), Escape: () => { if (document.activeElement.matches('input')) document.activeElement.blur(); else go(at); },
    s: () => { document.querySelector('[data-stop] button')?.click(); }, '+': () => { document.querySelector('[data-extend]')?.click(); },
    p: () => show('processes'), A: () => show('activity'), d: () => { document.querySelector('[data-remove] button')?.click(); },
  }, [task]);
  if (!task) return html`<main id="main" tabindex="-1"><h1 class="hidden">Task</h1><p><a href=${at}>← Tasks</a></p>${error ? html`<${Problem} error=${error}/>` : html`<p>Loading…</p>`}</main>`;
  const isQuestion = task.kind === 'question';
  const tabs = [...(isQuestion ? [['question', 'Question']] : [['log', 'Log']]), ...(task.kind === 'agent' ? [['activity', 'Activity']] : []), ...(isQuestion ? [] : [['processes', 'Processes']]), ['details', 'Details']];
  const current = tab ?? tabs[0][0];
  const time = task.startedAt ? span((task.endedAt ?? now) - task.startedAt) : '';
  const bad = ['failed', 'timed_out', 'lost', 'killed'].includes(task.status);
  return html`<main id="main" tabindex="-1" class="task"><div class="top"><a href=${at}>← Tasks</a><h1>${words(task.description) || id}</h1><${Status} row=${task}/><span>${time}</span>
      ${task.exitCode ? html`<span>exit ${task.exitCode}</span>` : ''}${task.signal ? html`<span>signal ${task.signal}</span>` : ''}
      <span class="acts">${bad && !isQuestion && html`<button onClick=${() => { show('log'); setJump(null); setTimeout(() => setJump('failure')); }}>Log at the failure</button>`}
      ${runs && server.act && !isQuestion && html`<span data-stop><${Sure} label="Stop" kind="danger" ask="Stop it?" act=${() => act('POST', '/stop', {reason: 'stopped on the page'})}/></span>`}
      ${runs && server.act && !isQuestion && html`<button data-extend onClick=${() => act('POST', '/extend', {timeoutMs: 600000})}>Ends in 10 min</button>`}
      ${runs && server.start && !isQuestion && html`<${Sure} label="Signal HUP" ask="Send SIGHUP?" act=${() => act('POST', '/signal', {signal: 'HUP'})}/>`}
      ${!runs && server.act && html`<span data-remove><${Sure} label="Remove" ask="Remove record and log?" act=${() => ask('DELETE', base, {}).then(() => go(at), fail)}/></span>`}</span></div>
    <${Problem} error=${error}/>
    <div role="tablist" class="tabs" aria-label="Views">${tabs.map(([key, name], i) => html`<button role="tab" id=${`tab-${key}`} aria-selected=${current === key} aria-controls="panel" tabindex=${current === key ? 0 : -1}
      onClick=${() => show(key)} onKeyDown=${e => { const by = {ArrowRight: 1, ArrowLeft: -1}[e.key]; if (!by) return; e.stopPropagation(); e.preventDefault(); const next = tabs[(i + by + tabs.length) % tabs.length][0]; show(next); document.getElementById(`tab-${next}`).focus(); }}>${name}</button>`)}</div>
    <div role="tabpanel" id="panel" aria-labelledby=${`tab-${current}`} class="panel">
    ${current === 'log' && html`<${Log} key=${id + (place ?? '')} session=${session} id=${id} running=${runs} place=${place === undefined ? undefined : Number(place)} jump=${jump}/>`}
    ${current === 'question' && html`<${Question} session=${session} id=${id} key=${task.status} canAnswer=${server.act} done=${load}/>`}
    ${current === 'activity' && html`<${Activity} session=${session} id=${id}/>`}
    ${current === 'processes' && html`<${Processes} session=${session} id=${id}/>`}
    ${current === 'details' && html`<${Details} task=${task}/>`}</div>
    ${runs && server.start && task.kind === 'process' && current === 'log' && html`<${Input} session=${session} id=${id}/>`}</main>`;
}
