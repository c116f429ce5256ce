import type {
  AgentStartParams, EventsSubscribeParams, Executor, Filter, Methods, Notification, NotificationsClaimParams, QuestionAskParams,
  QuestionAnswerParams, QuestionGetResult, Question, TaskDetachParams, TaskInfo, TaskListParams, TaskOutputParams,
  TaskEditParams, TaskRerunParams, TaskStartParams, TaskStopParams, TaskWaitParams, InitializeResult, Session,
  Terminal,
} from './rpc.js';

export * from './rpc.js';

/** A call failed. */
export declare class PerdureError extends Error {
  /** One of docs/reference/cli.md, such as `task.not_found`, or `rpc.<number>`, `connection.lost`, `connection.closed`, `binary.not_found`. */
  readonly code: string;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  /** The effect may have happened, and cannot be looked up. */
  readonly uncertain: boolean;
  readonly details: Record<string, string>;
}

/** A signal ends the call, never a task. */
export interface CallOptions {
  signal?: AbortSignal;
}

export interface OpenOptions extends CallOptions {
  /** Folder of the session, which need not exist yet; by default $PERDURE_SESSION, else the user's own. */
  session?: string;
  /** Whose tasks are started, and whose notifications are claimed. */
  owner?: string;
  /** The program; by default $PERDURE_BINARY, the platform package, or PATH. */
  binary?: string;
  /** A running `perdure rpc --socket`, instead of a program of its own. */
  socket?: string;
  env?: NodeJS.ProcessEnv;
}

export type StartOptions = TaskStartParams & CallOptions;
export type AgentOptions = AgentStartParams & CallOptions;

export interface OutputOptions extends CallOptions {
  /** Until the task has ended. */
  follow?: boolean;
  /** Offset of the first byte. */
  at?: number;
}

/** Bytes as they were printed; those that were not kept are left out. */
export interface Output extends AsyncIterable<Uint8Array> {
  /** All of it, decoded. */
  text(): Promise<string>;
}

export interface Waited {
  timedOut: boolean;
  ended: Task[];
  running: Task[];
  unverified: Task[];
  decisive?: Task;
  met?: boolean;
}

export interface TaskEvent {
  type: 'task.started' | 'task.updated' | 'task.terminated';
  /** Grows within a session; 0: it has no number. */
  seq: number;
  time: number;
  task: TaskInfo;
  outputTail?: string;
}

/** The session has tasks of other programs, whose events were perhaps missed: list again. */
export interface ResetEvent {
  type: 'reset';
  seq: number;
}

export type Event = TaskEvent | ResetEvent;

export interface EventOptions extends CallOptions {
  since?: number;
  filter?: Filter;
}

export interface EventStream extends AsyncIterableIterator<Event> {
  /** Resolves once the subscription stands: what happens from then on is told. */
  readonly ready: Promise<void>;
}

export interface WriteOptions extends CallOptions {
  /** Close the input afterwards. */
  eof?: boolean;
  /** A name of yours: a write that is repeated with it, also by you, is typed once. Not for tasks that run elsewhere. */
  writeId?: string;
}

export interface AttachOptions extends CallOptions {
  /** Only watch: any number may, one may type. */
  readOnly?: boolean;
  /** Offset of the first byte; by default only what is printed from now on. */
  at?: number;
  /** Instead: begin with the last bytes. */
  tailBytes?: number;
}

/** Live output, as it was printed; a slow reader costs no memory. Ends with the task, leave(), or the loop's `break`. */
export interface Attachment extends AsyncIterableIterator<Uint8Array> {
  /** What type() writes to; none: it only watches. */
  readonly input: 'terminal' | 'pipe' | 'none';
  /** The terminal's size when this began. */
  readonly terminal: Terminal | undefined;
  /** How the task ended, once it has. */
  readonly task: TaskInfo | undefined;
  /** Types. Calls are worked on in their order, also without waiting for each. */
  type(data: string | ArrayBufferView, options?: { eof?: boolean } & CallOptions): Promise<void>;
  resize(rows: number, columns: number, options?: CallOptions): Promise<void>;
  /** Ends this, not the task; the input is free once it resolves. */
  leave(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A task as it was when it was looked at, and what can be done with it. */
export declare class Task {
  readonly info: TaskInfo;
  get id(): string;
  get status(): TaskInfo['status'];
  refresh(options?: CallOptions): Promise<Task>;
  /** Waits for its end, or `timeoutMs`, and returns it as it is then. */
  wait(options?: Omit<TaskWaitParams, 'ids'> & CallOptions): Promise<Task>;
  output(options?: OutputOptions): Output;
  /** Starts its command once more, as a new task. */
  rerun(options?: Omit<TaskRerunParams, 'id'> & CallOptions): Promise<Task>;
  /** Changes it, while it waits in the queue. */
  edit(options: Omit<TaskEditParams, 'id'> & CallOptions): Promise<Task>;
  stop(options?: Omit<TaskStopParams, 'id'> & CallOptions): Promise<Task>;
  extend(timeoutMs: number, options?: CallOptions): Promise<Task>;
  write(data: string | ArrayBufferView, options?: WriteOptions): Promise<void>;
  attach(options?: AttachOptions): Promise<Attachment>;
}

/** A session of tasks. */
export declare class Perdure {
  private constructor();
  static open(options?: OpenOptions): Promise<Perdure>;
  /** Absolute path of the session's folder. */
  get session(): string;
  get server(): InitializeResult;
  /** Process of `perdure rpc`; undefined over a socket, and while it is started again. */
  get pid(): number | undefined;
  /** How often the connection was made anew. */
  get restarts(): number;
  /** Any method of docs/reference/rpc.md. */
  call<M extends keyof Methods>(method: M, params?: Methods[M]['params'], options?: CallOptions): Promise<Methods[M]['result']>;
  /** Starts a task. A start that is repeated after a lost connection is not doubled. */
  start(options: StartOptions): Promise<Task>;
  /** Starts the command of a task once more, as a new task. As start(), it is not doubled. */
  rerun(id: string, options?: Omit<TaskRerunParams, 'id'> & CallOptions): Promise<Task>;
  /** Changes a task that waits in the queue, before it starts. What is absent stays. */
  edit(id: string, options: Omit<TaskEditParams, 'id'> & CallOptions): Promise<Task>;
  startAgent(options: AgentOptions): Promise<Task>;
  get(id: string, options?: CallOptions): Promise<Task>;
  /** The newest first. */
  list(options?: Omit<TaskListParams, 'records'> & CallOptions): Promise<Task[]>;
  wait(options?: TaskWaitParams & CallOptions): Promise<Waited>;
  stop(id: string, options?: Omit<TaskStopParams, 'id'> & CallOptions): Promise<Task>;
  extend(id: string, timeoutMs: number, options?: CallOptions): Promise<Task>;
  detach(id: string, options?: Omit<TaskDetachParams, 'id'> & CallOptions): Promise<Task>;
  signal(id: string, signal: string | number, options?: CallOptions): Promise<void>;
  write(id: string, data: string | ArrayBufferView, options?: WriteOptions): Promise<void>;
  /** Its live output, and its input. */
  attach(id: string, options?: AttachOptions): Promise<Attachment>;
  /** Sessions that are known without a search of the disk. */
  sessions(options?: CallOptions): Promise<Session[]>;
  /** Where tasks can run besides this machine. */
  executors(options?: CallOptions): Promise<Executor[]>;
  remove(id: string, options?: CallOptions): Promise<void>;
  output(id: string, options?: OutputOptions): Output;
  /** A window of what it printed, as text. */
  text(id: string, options?: Omit<TaskOutputParams, 'id' | 'encoding'> & CallOptions): Promise<string>;
  ask(options: Omit<QuestionAskParams, 'questions'> & { questions: string | Question[] } & CallOptions): Promise<Task>;
  question(id: string, options?: CallOptions): Promise<QuestionGetResult>;
  answer(id: string, options: Omit<QuestionAnswerParams, 'id'> & CallOptions): Promise<QuestionGetResult>;
  /** Claims endings that their owners have not been told of: deliver them, then acknowledge() them. */
  notifications(options?: NotificationsClaimParams & CallOptions): Promise<Notification[]>;
  acknowledge(ids: string | Iterable<string>, options?: { via?: string } & CallOptions): Promise<void>;
  /** What happens to tasks, by any process, from now on or from an event on. */
  events(options?: EventOptions): EventStream;
  /** Ends this client, and no task. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export type { EventsSubscribeParams };
