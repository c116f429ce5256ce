import { spawn } from 'node:child_process';
import net from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { findBinary } from './binary.js';
import { PerdureError, errorOf } from './error.js';
import { REPEAT } from './methods.js';

const PROTOCOL = 1;
const MOST_RESTARTS = 20; // in a row, without an answer in between

/** One `perdure rpc`, or one connection to a socket: lines out, messages in, and its end, once. */
class Link {
  #child;
  #input;
  #output;
  #partial = [];
  #ended = false;

  constructor({ argv, env, socket }, onMessage, onEnd) {
    const end = (error) => {
      if (this.#ended) return;
      this.#ended = true;
      onEnd(this, error);
    };
    if (socket) {
      this.#input = this.#output = net.connect({ path: socket, allowHalfOpen: false });
    } else {
      // A session of its own: Ctrl-C at a terminal is for this program.
      this.#child = spawn(argv[0], argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'], env, detached: true });
      this.#child.on('error', end);
      this.#input = this.#child.stdin;
      this.#output = this.#child.stdout;
    }
    const decoder = new StringDecoder('utf8');
    this.#output.on('data', (chunk) => {
      const lines = decoder.write(chunk).split('\n');
      this.#partial.push(lines[0]);
      for (let at = 1; at < lines.length; ++at) {
        const line = this.#partial.join('');
        this.#partial = [lines[at]];
        onMessage(this, JSON.parse(line));
      }
    });
    this.#input.on('error', (error) => (socket ? end(error) : undefined)); // the end of its output tells
    this.#output.on('error', end);
    this.#output.on('close', () => end());
  }

  get pid() {
    return this.#child?.pid;
  }

  write(message) {
    if (!this.#input.destroyed) this.#input.write(`${JSON.stringify(message)}\n`);
  }

  hold(held) {
    for (const one of new Set([this.#child, this.#input, this.#output])) if (one) held ? one.ref?.() : one.unref?.();
  }

  hangUp() {
    this.#input.end();
  }

  destroy() {
    this.#input.destroy();
    this.#output.destroy();
    this.#child?.kill('SIGKILL');
  }
}

/**
 * Calls over a link that is made anew when it breaks. States: connecting (calls wait), open, dead (nothing can be called
 * any more; `#dead` says why). Of what was under way when a link broke, what may be repeated is sent again, and the
 * rest fails (V50).
 */
export class Connection {
  #target;
  #hello;
  #link;
  #ready = false;
  #dead;
  #closed = false;
  #closing;
  #ids = 1;
  #pending = new Map();
  #streams = new Set();
  #holds = 0;
  #greeting;
  restarts = 0;
  server = {};

  constructor({ session, owner, binary, socket, env }) {
    this.#target = { argv: socket ? [] : [findBinary(binary, env), 'rpc'], env, socket };
    this.#hello = {
      protocol: { min: PROTOCOL, max: PROTOCOL },
      client: { name: 'perdure-node', version: '1' },
      ...(session === undefined ? {} : { session }),
      ...(owner === undefined ? {} : { owner }),
    };
  }

  get pid() {
    return this.#link?.pid;
  }

  async open() {
    try {
      await this.#connect();
    } catch (error) {
      this.#dead = error;
      throw error;
    }
    this.#settleHolds();
  }

  async #connect() {
    const greeted = new Promise((resolve, reject) => {
      this.#greeting = { resolve, reject };
    });
    const link = new Link(
      this.#target,
      (from, message) => this.#take(from, message),
      (from, error) => this.#lost(from, error),
    );
    this.#link = link;
    link.write({ jsonrpc: '2.0', id: 0, method: 'initialize', params: this.#hello });
    try {
      this.server = await greeted;
    } catch (error) {
      link.destroy();
      throw error;
    }
    this.#ready = true;
    this.#goOn();
  }

  // As long as something is awaited, the process is to live; no longer.
  hold() {
    this.#holds += 1;
    this.#settleHolds();
  }

  release() {
    this.#holds -= 1;
    this.#settleHolds();
  }

  #settleHolds() {
    if (this.#ready) this.#link?.hold(this.#holds > 0);
  }

  #take(from, message) {
    if (from !== this.#link) return;
    if (message.id === 0 && this.#greeting) {
      const greeting = this.#greeting;
      this.#greeting = undefined;
      if (message.error) greeting.reject(errorOf(message.error));
      else greeting.resolve(message.result);
      return;
    }
    this.#failures = 0;
    if (message.method) {
      for (const stream of [...this.#streams])
        if (stream.name === (message.params.subscription ?? message.params.attachment)) stream.hear(message.method, message.params);
      return;
    }
    const call = this.#pending.get(message.id);
    if (!call) return;
    this.#pending.delete(message.id);
    if (message.error) {
      call.reject(errorOf(message.error));
    } else {
      call.stream?.begun(message.result);
      call.resolve(message.result);
    }
  }

  #lost(from, error) {
    if (from !== this.#link) return;
    this.#link = undefined;
    this.#ready = false;
    const why = new PerdureError(
      'connection.lost',
      error ? `${this.#target.socket ?? this.#target.argv[0]}: ${error.message}` : 'perdure rpc ended before it answered',
      { retryable: true, cause: error },
    );
    for (const stream of this.#streams) stream.name = undefined;
    if (this.#greeting) {
      const greeting = this.#greeting;
      this.#greeting = undefined;
      greeting.reject(why);
      return;
    }
    if (this.#closed) {
      this.#giveUp(new PerdureError('connection.closed', 'this client was closed'));
      this.#closing?.();
      return;
    }
    this.#restart();
  }

  #failures = 0;

  async #restart() {
    let why;
    while (!this.#closed && this.#failures < MOST_RESTARTS) {
      this.restarts += 1;
      try {
        await this.#connect();
        return;
      } catch (error) {
        why = error;
        this.#failures += 1;
        await sleep(Math.min(10 * 2 ** this.#failures, 1000), undefined, { ref: this.#holds > 0 });
      }
    }
    this.#giveUp(this.#closed ? new PerdureError('connection.closed', 'this client was closed') : why);
    this.#closing?.();
  }

  #giveUp(error) {
    this.#dead = error;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of pending) call.reject(error);
    for (const stream of [...this.#streams]) stream.end(error.code === 'connection.closed' ? undefined : error);
  }

  #goOn() {
    const link = this.#link;
    const again = [];
    for (const [id, call] of [...this.#pending]) {
      const repeat = this.#repeatOf(call);
      // Of what never left, nothing can have happened.
      if (call.link === undefined || repeat === 'yes') {
        call.link = link;
        again.push(call);
        continue;
      }
      this.#pending.delete(id);
      const uncertain = repeat === 'uncertain';
      call.reject(
        new PerdureError('connection.lost', `${call.method}: perdure rpc ended before it answered`, {
          retryable: !uncertain,
          uncertain,
        }),
      );
    }
    const beginning = new Set(again.map((call) => call.stream));
    for (const call of again) this.#send(call);
    for (const stream of this.#streams)
      if (!beginning.has(stream)) this.#beginAgain(stream);
    this.#settleHolds();
  }

  #repeatOf(call) {
    const repeat = REPEAT[call.method] ?? 'no';
    // What the first one took was free again when the server that held it was killed.
    if (call.stream) return 'yes';
    const key = { withKey: 'idempotencyKey', withWriteId: 'writeId' }[repeat];
    if (key === undefined) return repeat;
    return call.params[key] ? 'yes' : 'uncertain';
  }

  #beginAgain(stream) {
    this.request(stream.begin, stream.params(), { stream }).catch((error) => {
      // Lost again: it is begun with the next connection.
      if (error.code !== 'connection.lost') stream.end(error);
    });
  }

  #send(call) {
    call.link.write({ jsonrpc: '2.0', id: call.id, method: call.method, params: call.params });
  }

  /** Resolves with the result. A signal ends the call, and no task. */
  request(method, params = {}, { signal, stream } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#dead) return reject(this.#dead);
      if (this.#closed) return reject(new PerdureError('connection.closed', 'this client was closed'));
      if (signal?.aborted) return reject(signal.reason);
      const call = { id: this.#ids++, method, params, stream, link: this.#ready ? this.#link : undefined };
      const abort = () => {
        if (!this.#pending.delete(call.id)) return;
        call.reject(signal.reason);
        if (this.#ready) this.#link.write({ jsonrpc: '2.0', method: '$/cancelRequest', params: { id: call.id } });
      };
      const done = () => {
        signal?.removeEventListener('abort', abort);
        this.release();
      };
      call.resolve = (result) => {
        done();
        resolve(result);
      };
      call.reject = (error) => {
        done();
        reject(error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#pending.set(call.id, call);
      this.hold();
      if (call.link) this.#send(call);
    });
  }

  addStream(stream) {
    this.#streams.add(stream);
    return this.request(stream.begin, stream.params(), { stream });
  }

  /** Resolves once nothing of it comes any more. */
  removeStream(stream) {
    return this.#streams.delete(stream) ? this.endStream(stream) : Promise.resolve();
  }

  async endStream(stream) {
    if (stream.name === undefined || this.#closed || this.#dead) return;
    const [method, params] = stream.ending();
    await this.request(method, params).catch(() => {}); // it ended with the connection
  }

  subscribeAgain(stream) {
    this.request(stream.begin, stream.params(), { stream }).catch((error) => stream.end(error));
  }

  /** Ends this client, and no task. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#dead) return;
    const ended = new Promise((resolve) => {
      this.#closing = resolve;
    });
    this.hold();
    this.#link?.hangUp();
    await ended;
    this.#holds = 0;
  }
}
