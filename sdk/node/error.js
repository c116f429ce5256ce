/** A call failed. `code` is one of docs/reference/cli.md, such as `task.not_found`, or one of the client's own. */
export class PerdureError extends Error {
  constructor(code, message, { retryable = false, uncertain = false, details = {}, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PerdureError';
    this.code = code;
    this.retryable = retryable;
    this.uncertain = uncertain;
    this.details = details;
  }
}

const CANCELLED = -32800;

export function errorOf(error) {
  const data = error.data ?? {};
  const code = data.code ?? (error.code === CANCELLED ? 'cancelled' : `rpc.${error.code}`);
  return new PerdureError(code, error.message, { retryable: data.retryable ?? false, details: data.details ?? {} });
}
