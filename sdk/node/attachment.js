// So many chunks of at most 64 KiB wait for a slow reader; what comes behind them is read from the log when it is wanted.
const MOST = 16;
const WINDOW = 256 * 1024;

/** The live output of one task by `for await`, and its input; over any number of connections. */
export class Attachment {
  #connection;
  #id;
  #options;
  #next; // offset behind the last chunk that came; undefined: none did
  #waiting = []; // {data}, or {from, to} of what was not kept here
  #reader;
  #over;
  #left;
  begin = 'task.attach';
  name; // the server's, on the present connection
  input = 'none';
  terminal;
  task; // as it ended

  constructor(connection, id, { readOnly = false, at, tailBytes, signal } = {}) {
    this.#connection = connection;
    this.#id = id;
    this.#options = { id, readOnly, ...(tailBytes === undefined ? {} : { tailBytes }), ...(at === undefined ? {} : { at }) };
    this.signal = signal;
    this.abort = () => this.#end(signal.reason);
  }

  async open() {
    this.signal?.throwIfAborted();
    try {
      await this.#connection.addStream(this);
    } catch (error) {
      this.#end(error);
      throw error;
    }
    this.signal?.addEventListener('abort', this.abort, { once: true });
    return this;
  }

  params() {
    if (this.#next === undefined) return this.#options;
    return { id: this.#id, readOnly: this.#options.readOnly, at: this.#next };
  }

  begun(result) {
    this.name = result.attachment;
    this.input = result.input;
    this.terminal = result.terminal;
    this.#next ??= result.offset;
    if (this.#over) this.#connection.endStream(this);
  }

  ending() {
    return ['task.leave', { attachment: this.name }];
  }

  hear(what, params) {
    if (what === 'task.attachment.ended') {
      this.task = params.task;
      this.name = undefined;
      return this.#end(params.message === undefined ? undefined : new Error(params.message));
    }
    if (what !== 'task.chunk') return undefined;
    this.#next = params.nextOffset;
    const last = this.#waiting.at(-1);
    if (last?.to === params.offset) last.to = params.nextOffset;
    else if (this.#waiting.length >= MOST) this.#waiting.push({ from: params.offset, to: params.nextOffset });
    else this.#waiting.push({ data: Buffer.from(params.data, 'base64') });
    return this.#wake();
  }

  // The connection says so: it could not be made anew.
  end(error) {
    this.#end(error);
  }

  #wake() {
    this.#reader?.();
    this.#reader = undefined;
  }

  #end(error) {
    if (this.#over) return;
    this.#over = { error };
    this.signal?.removeEventListener('abort', this.abort);
    this.#left = this.#connection.removeStream(this);
    this.#wake();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    for (;;) {
      const first = this.#waiting[0];
      if (first?.data) {
        this.#waiting.shift();
        const { buffer, byteOffset, length } = first.data;
        if (length > 0) return { value: new Uint8Array(buffer, byteOffset, length), done: false };
      } else if (first) {
        const { from } = first;
        const window = await this.#connection.request('task.output', {
          id: this.#id, at: from, limit: Math.min(WINDOW, first.to - from), encoding: 'base64',
        });
        first.from = window.nextOffset;
        if (first.from >= first.to || window.nextOffset === from) this.#waiting.shift();
        const data = Buffer.from(window.data, 'base64');
        if (data.length > 0) return { value: new Uint8Array(data.buffer, data.byteOffset, data.length), done: false };
      } else if (this.#over) {
        const { error } = this.#over;
        this.#over = {};
        if (error !== undefined) throw error;
        return { value: undefined, done: true };
      } else {
        this.#connection.hold();
        await new Promise((resolve) => {
          this.#reader = resolve;
        });
        this.#connection.release();
      }
    }
  }

  async return(value) {
    this.#waiting = [];
    await this.leave();
    return { value, done: true };
  }

  /** Types. Calls are worked on in their order, also without waiting for each. */
  async type(data, { eof = false, signal } = {}) {
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const params = { attachment: this.name ?? '', data: bytes.toString('base64'), encoding: 'base64', eof };
    await this.#connection.request('task.input', params, { signal });
  }

  async resize(rows, columns, options) {
    await this.#connection.request('task.resize', { attachment: this.name ?? '', rows, columns }, options);
  }

  /** Ends this, not the task; the input is free once it resolves. */
  async leave() {
    this.#end();
    await this.#left;
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.leave();
  }
}
