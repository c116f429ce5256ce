import { Perdure, PerdureError } from './index.js';

const UNKNOWN = new Set(['task.not_found', 'task.id_invalid']);
const NAMES = {
  'task.started': 'background.task.started',
  'task.updated': 'background.task.updated',
  'task.terminated': 'background.task.terminated',
};

function checked(id) {
  const trimmed = String(id ?? '').trim();
  if (trimmed === '') throw new PerdureError('background.task_id_empty', 'Background task id cannot be empty');
  return trimmed;
}

// What is not known is no failure here.
async function orElse(call, otherwise) {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PerdureError && UNKNOWN.has(error.code)) return otherwise;
    throw error;
  }
}

/** The methods and events of a session's background tasks as kimi-code's SDK has them. */
export class Session {
  #perdure;
  #listeners = new Map(Object.values(NAMES).map((name) => [name, new Set()]));
  #stream;

  constructor(perdure) {
    this.#perdure = perdure;
  }

  static async open(options) {
    return new Session(await Perdure.open(options));
  }

  get perdure() {
    return this.#perdure;
  }

  async listBackgroundTasks({ activeOnly = false, limit } = {}) {
    const tasks = [];
    for (let after; ; ) {
      const page = await this.#perdure.call('task.list', {
        active: activeOnly,
        records: true,
        limit: Math.min(limit === undefined ? 1000 : limit - tasks.length, 1000) || 1,
        ...(after ? { after } : {}),
      });
      tasks.push(...page.tasks);
      after = page.next;
      if (!after || (limit !== undefined && tasks.length >= limit)) break;
    }
    return limit === undefined ? tasks : tasks.slice(0, Math.max(0, limit));
  }

  async getBackgroundTaskOutput(id, { tail } = {}) {
    const task = checked(id);
    return orElse(this.#output(task, tail), '');
  }

  async #output(id, tail) {
    if (tail !== undefined && tail <= 0) return '';
    // A character takes at most four bytes, and it is characters that are counted.
    const { size } = await this.#perdure.call('task.output', { id, tailBytes: 0 });
    const at = tail === undefined ? 0 : Math.max(0, size - 4 * tail - 4);
    const text = await this.#perdure.output(id, { at }).text();
    if (tail === undefined || text.length <= tail) return text;
    const end = text.slice(-tail);
    return /^[\udc00-\udfff]/.test(end) ? end.slice(1) : end;
  }

  async getBackgroundTaskOutputPath(id) {
    const task = checked(id);
    const found = await orElse(this.#perdure.call('task.outputPath', { id: task }), {});
    return found.path ?? undefined;
  }

  async stopBackgroundTask(id, { reason } = {}) {
    const task = checked(id);
    await orElse(this.#perdure.stop(task, reason === undefined ? {} : { reason }));
  }

  async detachBackgroundTask(id) {
    const task = checked(id);
    return (await orElse(this.#perdure.detach(task)))?.info;
  }

  /** Returns what ends it. Resolve `ready` first where nothing may be missed. */
  onEvent(name, listener) {
    const listeners = this.#listeners.get(name);
    if (!listeners) throw new TypeError(`unknown event '${name}': expected one of ${[...this.#listeners.keys()].join(', ')}`);
    listeners.add(listener);
    if (!this.#stream) {
      this.#stream = this.#perdure.events();
      this.#tell(this.#stream);
    }
    const end = () => {
      listeners.delete(listener);
      if ([...this.#listeners.values()].some((some) => some.size > 0)) return;
      this.#stream?.return();
      this.#stream = undefined;
    };
    end.ready = this.#stream.ready;
    return end;
  }

  async #tell(stream) {
    try {
      for await (const event of stream) {
        const name = NAMES[event.type];
        for (const listener of [...(this.#listeners.get(name) ?? [])]) listener({ type: name, info: event.task });
      }
    } catch (error) {
      if (this.#stream === stream) process.emitWarning(`perdure: events ended: ${error.message}`);
    }
  }

  close() {
    return this.#perdure.close();
  }
}

export { PerdureError };
