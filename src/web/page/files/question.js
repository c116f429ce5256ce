// Questions: everything asked, one button for each option, own words; from a phone by a link that can do nothing else (V43).
import {useEffect, useState} from './vendor/hooks.js';
import {ask, get, post} from './api.js';
import {Problem, html, moment, paragraphs, span, useLoaded, words} from './ui.js';

const reply = (session, id, body, link) => ask('POST', `/sessions/${session}/tasks/${id}/answer`, body, link ? {token: link} : {});

export function Question({session, id, link, canAnswer, done}) {
  const path = `/sessions/${session}/tasks/${id}/question`;
  const [turn, again] = useState(0);
  const {value: asked, error} = useLoaded(() => get(path, {}, link ? {token: link} : {}), [id, turn]);
  const [given, give] = useState({});
  const [failed, fail] = useState(null);
  const [sent, setSent] = useState(null);
  if (error) return html`<${Problem} error=${error}/>`;
  if (!asked) return html`<p>Loading…</p>`;
  const answer = sent ?? asked.answer;
  const {task, questions} = asked;
  if (task.status !== 'running' || sent)
    return html`<div class="question"><h2>${words(task.description)}</h2>
      ${answer?.answers && Object.keys(answer.answers).length > 0
        ? Object.entries(answer.answers).map(([q, a]) => html`<p class="asked">${paragraphs(q)}</p><p><b>Answer:</b> ${words(a)}</p>`)
        : html`<p>${sent ? 'Dismissed.' : 'No longer open.'} ${words(answer?.note ?? '')}</p>`}</div>`;
  const send = async body => {
    fail(null);
    try { const answered = await reply(session, id, body, link); setSent(answered.answer ?? {}); done?.(); }
    catch (e) { fail(e); if (e.code === 'question.closed' && !link) again(turn + 1); }
  };
  const answers = () => Object.fromEntries(questions.map(q => [q.question, given[q.question] ?? '']));
  // One question with options that exclude each other: the button is the answer.
  const direct = questions.length === 1 && !questions[0].multi_select;
  const pick = (q, label) => {
    if (direct) { send({answers: {[q.question]: label}}); return; }
    const chosen = (given[q.question] ?? '').split(', ').filter(Boolean);
    const next = !q.multi_select ? [label] : chosen.includes(label) ? chosen.filter(one => one !== label) : [...chosen, label];
    give({...given, [q.question]: next.join(', ')});
  };
  const isChosen = (q, label) => (given[q.question] ?? '').split(', ').includes(label);
  const until = task.timeoutMs ? (task.timeoutFrom ?? task.startedAt) + task.timeoutMs : 0;
  return html`<div class="question">${questions.map((q, i) => html`<fieldset key=${i}><legend>${words(q.header || 'Question')}</legend>
      <p class="asked">${paragraphs(q.question)}</p>
      ${(q.options ?? []).length > 0 && html`<div class="options">${q.options.map(o => html`<div><button type="button" disabled=${!canAnswer} aria-pressed=${direct ? undefined : isChosen(q, o.label)} onClick=${() => pick(q, o.label)}>${words(o.label)}</button>${o.description && html`<span>${words(o.description)}</span>`}</div>`)}</div>`}
      <form class="own" onSubmit=${e => { e.preventDefault(); send({answers: answers()}); }}><label class="grow">In your own words <input disabled=${!canAnswer} value=${given[q.question] ?? ''} onInput=${e => give({...given, [q.question]: e.target.value})}/></label>
      ${i === questions.length - 1 && html`<button disabled=${!canAnswer}>Send</button>`}</form>
      ${q.default && html`<p>An empty answer means: ${words(q.default)}</p>`}</fieldset>`)}
    <p>${task.owner ? `Asked by ${words(task.owner)}, ` : 'Asked '}${moment(task.startedAt)}. ${until ? `It waits until ${moment(until)} (${span(until - Date.now())}).` : 'It waits until it is answered.'}</p>
    ${canAnswer && html`<button onClick=${() => send({dismiss: true})}>Dismiss</button>`}<${Problem} error=${failed}/></div>`;
}

/** The options of a question that stands in the list. */
export function QuickAnswer({session, id, at}) {
  const {value} = useLoaded(() => get(`/sessions/${session}/tasks/${id}/question`), [id]);
  const [error, set] = useState(null);
  const one = value?.questions.length === 1 && !value.questions[0].multi_select ? value.questions[0] : null;
  const send = label => post(`/sessions/${session}/tasks/${id}/answer`, {answers: {[one.question]: label}}).catch(set);
  return html`<span class="quick">${one && (one.options ?? []).slice(0, 3).map(o => html`<button onClick=${() => send(o.label)}>${words(o.label)}</button>`)}
    <a class="button" href=${`${at}/t/${id}`}>Answer…</a>${error && words(error.message)}</span>`;
}

/** A page that was opened by an answer link: it knows of one question, and of nothing else. */
export function AnswerPage({session, id, link}) {
  useEffect(() => { document.title = 'A question'; }, []);
  return html`<main class="narrow" id="main"><h1>A question</h1><${Question} session=${session} id=${id} link=${link} canAnswer=${true}/></main>`;
}
