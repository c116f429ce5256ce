// Numbers of events are given out before their records are visible: after a gap so much is asked for again (in
// microseconds, as they are), and what was seen is dropped.
const OVERLAP = 60_000_000;
const FEW = 4096;

/** One subscription, over any number of connections. An event comes once, and none is missed. */
export class EventStream {
  #connection;
  #since;
  #filter;
  #base;
  #last = 0;
  #seen = new Set();
  #pruneAt = FEW;
  #waiting = [];
  #readers = [];
  #over;
  #signal;
  #abort;
  begin = 'events.subscribe';
  name; // the server's, on the present connection

  constructor(connection, { since, filter, signal } = {}) {
    this.#connection = connection;
    this.#since = since;
    this.#filter = filter;
    this.#signal = signal;
    this.#abort = () => this.end(signal.reason);
    if (signal?.aborted) {
      this.#over = { error: signal.reason };
      this.ready = Promise.reject(signal.reason);
    } else {
      signal?.addEventListener('abort', this.#abort, { once: true });
      this.ready = connection.addStream(this).then(
        () => {},
        (error) => {
          this.end(error);
          throw error;
        },
      );
    }
    this.ready.catch(() => {}); // also told by next()
  }

  params() {
    const since = this.#base === undefined ? this.#since : Math.max(this.#base, this.#last - OVERLAP, 0);
    return { ...(since === undefined ? {} : { since }), ...(this.#filter ? { filter: this.#filter } : {}) };
  }

  ending() {
    return ['events.unsubscribe', { subscription: this.name }];
  }

  begun(result) {
    this.name = result.subscription;
    if (this.#base === undefined) this.#base = this.#last = result.seq;
    if (this.#over) this.#connection.endStream(this);
  }

  hear(what, params) {
    if (what === 'overflow') return this.#connection.subscribeAgain(this);
    if (what === 'failure') return this.end(new Error(params.message));
    if (what === 'reset') return this.#put({ type: 'reset', seq: params.seq });
    if (what !== 'event') return undefined;
    const { seq } = params;
    if (seq > 0) {
      if (this.#seen.has(seq)) return undefined;
      this.#seen.add(seq);
      this.#last = Math.max(this.#last, seq);
      if (this.#seen.size > this.#pruneAt) {
        // The set holds what happened in two minutes, and no more than twice that.
        for (const one of this.#seen) if (one < this.#last - 2 * OVERLAP) this.#seen.delete(one);
        this.#pruneAt = Math.max(FEW, 2 * this.#seen.size);
      }
    }
    const { subscription, ...event } = params;
    return this.#put(event);
  }

  #put(event) {
    const reader = this.#readers.shift();
    if (reader) reader.resolve({ value: event, done: false });
    else this.#waiting.push(event);
  }

  /** No more events; what waits is still read. */
  end(error) {
    if (this.#over) return;
    this.#over = { error };
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#connection.removeStream(this);
    for (const reader of this.#readers.splice(0)) {
      if (error !== undefined) reader.reject(error);
      else reader.resolve({ value: undefined, done: true });
    }
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    if (this.#waiting.length > 0) return { value: this.#waiting.shift(), done: false };
    if (this.#over?.error !== undefined) {
      const { error } = this.#over;
      this.#over = {};
      throw error;
    }
    if (this.#over) return { value: undefined, done: true };
    this.#connection.hold();
    try {
      return await new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    } finally {
      this.#connection.release();
    }
  }

  async return(value) {
    this.#waiting = [];
    this.end();
    return { value, done: true };
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.return();
  }
}
