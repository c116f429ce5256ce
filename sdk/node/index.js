import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Attachment } from './attachment.js';
import { Connection } from './connection.js';
import { PerdureError } from './error.js';
import { EventStream } from './events.js';

export { PerdureError };

const WINDOW = 256 * 1024;
const LONG = 3_600_000;
const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** What a task printed, from an offset on: bytes by `for await`, or `text()`. */
class Output {
  #perdure;
  #id;
  #options;

  constructor(perdure, id, options) {
    this.#perdure = perdure;
    this.#id = id;
    this.#options = options;
  }

  async *[Symbol.asyncIterator]() {
    const { follow = false, signal } = this.#options;
    let at = this.#options.at ?? 0;
    for (;;) {
      const window = await this.#perdure.call(
        'task.output',
        { id: this.#id, at, limit: WINDOW, encoding: 'base64', ...(follow ? { waitMs: LONG } : {}) },
        { signal },
      );
      const data = Buffer.from(window.data, 'base64');
      if (data.length > 0) yield new Uint8Array(data.buffer, data.byteOffset, data.length);
      at = window.nextOffset;
      if (window.eof || (data.length === 0 && !follow)) return;
    }
  }

  async text() {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of this) text += decoder.decode(chunk, { stream: true });
    return text + decoder.decode();
  }
}

/** A task as it was when it was looked at (`info`), and what can be done with it. */
export class Task {
  #perdure;

  constructor(perdure, info) {
    this.#perdure = perdure;
    this.info = info;
  }

  get id() {
    return this.info.taskId;
  }

  get status() {
    return this.info.status;
  }

  refresh(options) {
    return this.#perdure.get(this.id, options);
  }

  async wait(options) {
    const { ended, running, unverified } = await this.#perdure.wait({ ...options, ids: [this.id] });
    return [...ended, ...running, ...unverified][0];
  }

  output(options) {
    return this.#perdure.output(this.id, options);
  }

  rerun(options) {
    return this.#perdure.rerun(this.id, options);
  }

  edit(options) {
    return this.#perdure.edit(this.id, options);
  }

  stop(options) {
    return this.#perdure.stop(this.id, options);
  }

  extend(timeoutMs, options) {
    return this.#perdure.extend(this.id, timeoutMs, options);
  }

  write(data, options) {
    return this.#perdure.write(this.id, data, options);
  }

  attach(options) {
    return this.#perdure.attach(this.id, options);
  }
}

/** A session of tasks. */
export class Perdure {
  #connection;

  constructor(connection) {
    this.#connection = connection;
  }

  static async open({ session, owner, binary, socket, env, signal } = {}) {
    signal?.throwIfAborted();
    const connection = new Connection({
      session: session === undefined ? undefined : path.resolve(session),
      owner,
      binary,
      socket,
      env,
    });
    await connection.open();
    const perdure = new Perdure(connection);
    signal?.addEventListener('abort', () => perdure.close(), { once: true });
    return perdure;
  }

  get session() {
    return this.#connection.server.session;
  }

  get server() {
    return this.#connection.server;
  }

  get pid() {
    return this.#connection.pid;
  }

  get restarts() {
    return this.#connection.restarts;
  }

  call(method, params, options) {
    return this.#connection.request(method, params, options);
  }

  // Options of a method, and the signal that is not one of them.
  #call(method, { signal, ...params }) {
    return this.call(method, params, { signal });
  }

  async #task(method, options) {
    return new Task(this, (await this.#call(method, options)).task);
  }

  start(options) {
    const cwd = path.resolve(options.cwd ?? '.');
    return this.#task('task.start', { idempotencyKey: `node-${randomUUID()}`, ...options, cwd });
  }

  rerun(id, options) {
    return this.#task('task.rerun', { idempotencyKey: `node-${randomUUID()}`, ...options, id });
  }

  edit(id, options) {
    return this.#task('task.edit', { ...options, id });
  }

  startAgent(options) {
    const cwd = path.resolve(options.cwd ?? '.');
    return this.#task('agent.start', { idempotencyKey: `node-${randomUUID()}`, ...options, cwd });
  }

  get(id, options) {
    return this.#task('task.get', { ...options, id, previewBytes: 0 });
  }

  async list(options) {
    const { tasks } = await this.#call('task.list', { limit: 1000, ...options, records: true });
    return tasks.map((info) => new Task(this, info));
  }

  async wait(options = {}) {
    const result = await this.#call('task.wait', options);
    const tasks = (infos) => infos.map((info) => new Task(this, info));
    return {
      timedOut: result.timedOut,
      ended: tasks(result.ended),
      running: tasks(result.running),
      unverified: tasks(result.unverified),
      ...(result.decisive ? { decisive: new Task(this, result.decisive) } : {}),
      ...(result.met === undefined ? {} : { met: result.met }),
    };
  }

  stop(id, options) {
    return this.#task('task.stop', { ...options, id });
  }

  extend(id, timeoutMs, options) {
    return this.#task('task.extend', { ...options, id, timeoutMs });
  }

  detach(id, options) {
    return this.#task('task.detach', { ...options, id });
  }

  async signal(id, signal, options) {
    await this.call('task.signal', { id, signal: String(signal) }, options);
  }

  async write(id, data, { eof = false, writeId, signal } = {}) {
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    await this.call('task.write', { id, data: bytes.toString('base64'), encoding: 'base64', eof, writeId }, { signal });
  }

  /** Resolves once it stands: what is printed from then on comes. */
  attach(id, options) {
    return new Attachment(this.#connection, id, options).open();
  }

  async sessions(options) {
    return (await this.call('session.list', {}, options)).sessions;
  }

  async executors(options) {
    return (await this.call('executors.list', {}, options)).executors;
  }

  async remove(id, options) {
    await this.call('task.remove', { id }, options);
  }

  output(id, options = {}) {
    return new Output(this, id, options);
  }

  async text(id, options = {}) {
    return (await this.#call('task.output', { ...options, id })).data;
  }

  ask({ questions, ...options }) {
    const asked = typeof questions === 'string' ? [{ question: questions }] : questions;
    return this.#task('question.ask', { ...options, questions: asked });
  }

  question(id, options) {
    return this.#call('question.get', { ...options, id });
  }

  answer(id, options) {
    return this.#call('question.answer', { ...options, id });
  }

  async notifications(options = {}) {
    return (await this.#call('notifications.claim', options)).notifications;
  }

  async acknowledge(ids, options = {}) {
    await this.#call('notifications.ack', { ...options, ids: typeof ids === 'string' ? [ids] : [...ids] });
  }

  events(options) {
    return new EventStream(this.#connection, options);
  }

  close() {
    return this.#connection.close();
  }

  async [asyncDispose]() {
    await this.close();
  }
}
