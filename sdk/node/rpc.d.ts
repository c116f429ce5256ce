// Made from the table of methods by tools/rpc_reference.py: change src/rpc, not this.

/** A task, as in its record. Keys that are not listed here may be present. */
export interface TaskInfo {
  /** its id */
  taskId: string;
  /** process, agent or question; another program's word otherwise */
  kind: string;
  /** for people */
  description: string;
  /** from completed on it never changes again */
  status: 'queued' | 'running' | 'completed' | 'failed' | 'timed_out' | 'killed' | 'lost';
  /** false: a foreground caller waits, or waited to the end, for it */
  detached?: boolean;
  /** ms since the epoch; null while it is queued */
  startedAt: number | null;
  /** ms since the epoch; null while it runs */
  endedAt: number | null;
  /** of a process */
  command?: string;
  /** of a process; 0: unknown */
  pid?: number;
  /** of a process; null: unknown, or ended by a signal */
  exitCode?: number | null;
  /** the signal that ended the command */
  signal?: number;
  /** why it was stopped, or why it failed */
  stopReason?: string;
  /** its deadline, from timeoutFrom or the start; 0: none */
  timeoutMs?: number;
  /** ms since the epoch */
  timeoutFrom?: number;
  /** without output for so long it times out */
  idleTimeoutMs?: number;
  /** idle: not the deadline, but idleTimeoutMs */
  timedOutBy?: string;
  /** of a subagent: names the conversation, and is never a task id */
  agentId?: string;
  /** of a subagent: which agent */
  subagentType?: string;
  /** of a subagent */
  model?: string;
  /** of a question */
  questionCount?: number;
  /** of a question that has ended */
  questionOutcome?: 'answered' | 'dismissed' | 'expired' | 'withdrawn';
  /** who is notified of its end */
  owner?: string;
  /** labels of the starter's own */
  labels?: Record<string, string>;
  /** session: session.close stops it */
  lifetime?: 'detached' | 'session';
  /** where it runs */
  cwd?: string;
  /** given to it; at most one live task has it */
  name?: string;
  /** ms since the epoch: when it began to wait for a slot */
  queuedAt?: number;
  /** 1 is the next to start */
  queuePlace?: number;
  /** ids of the tasks that it follows, with blanks between; `~` before one that may end in any way */
  after?: string;
  /** the key of its start */
  idempotencyKey?: string;
  /** its command is started again when it has ended */
  restart?: 'on-failure' | 'always';
  /** how often at most; absent: no limit */
  restartMax?: number;
  /** of `restart`: those that have ended */
  attempts?: Attempts;
  /** bytes that it printed */
  outputBytes?: number;
  /** bytes of the output that were not kept */
  droppedBytes?: number;
  /** why it counts as lost */
  lostEvidence?: string;
  /** processes that outlived the command */
  leftovers?: number;
  /** number of its task.started event */
  startedSeq?: number;
  /** number of its task.terminated event */
  endedSeq?: number;
  /** its runner was killed; session.reconcile ends what is left */
  runnerGone?: boolean;
  /** running by its record, and nothing here can prove or disprove it */
  unverified?: boolean;
  /** it has ended and the disk refuses the record; how it ended, and why */
  unrecordedEnd?: string;
  /** Keys of another program, or of a newer Perdure. */
  [key: string]: unknown;
}

/** A task in a list. */
export interface Row {
  /** its id */
  id: string;
  /** process, agent, question */
  kind: string;
  status: 'queued' | 'running' | 'completed' | 'failed' | 'timed_out' | 'killed' | 'lost';
  /** for people */
  description: string;
  /** ms since the epoch */
  startedAt: number | null;
  /** ms since the epoch */
  endedAt: number | null;
  /** from its start to its end, or to now */
  durationMs: number | null;
  exitCode?: number;
  signal?: number;
  owner?: string;
  agentId?: string;
  /** of one that has ended */
  outputBytes?: number;
  /** 1 is the next to start */
  queuePlace?: number;
  /** unverified, runnerGone, leftovers, undelivered */
  flags: string[];
}

/** One run of the command of a task that is restarted. */
export interface Attempt {
  /** ms since the epoch */
  startedAt: number;
  /** ms since the epoch */
  endedAt: number;
  /** null: a signal ended it */
  exitCode: number | null;
  /** the signal that ended it */
  signal?: number;
  /** where its output begins */
  outputOffset: number;
}

/** The runs of the command of a task that is restarted. */
export interface Attempts {
  /** how many have ended */
  count: number;
  /** the last 20 at most, the newest last */
  last: Attempt[];
}

/** Number of tasks by status. */
export interface Counts {
  queued: number;
  running: number;
  completed: number;
  failed: number;
  timed_out: number;
  killed: number;
  lost: number;
}

/** Which tasks. */
export interface Filter {
  /** only these tasks */
  ids?: string[];
  /** only tasks of these statuses */
  status?: string[];
  /** only tasks of these kinds */
  kind?: string[];
  /** only this owner's tasks */
  owner?: string;
  /** NAME or NAME=VALUE */
  label?: string;
  /** in the id, the description or the command */
  text?: string;
  /** started at or after that, ms since the epoch */
  since?: number;
  /** started before that, ms since the epoch */
  until?: number;
}

/** Size of a terminal. */
export interface Terminal {
  /** default 24 */
  rows?: number;
  /** default 80 */
  columns?: number;
}

/** Bytes of the output that were not kept. */
export interface Gap {
  /** offset of the first byte that was not kept */
  at: number;
  /** how many were not kept */
  bytes: number;
}

/** The end of a task's output, as `perdure show --json` prints it. */
export interface OutputSummary {
  /** absolute path of the log; null: it printed nothing that was kept */
  outputPath: string | null;
  /** bytes of the stream so far */
  outputSizeBytes: number;
  /** bytes in preview */
  previewBytes: number;
  /** the preview is not the whole output */
  truncated: boolean;
  /** every byte of the stream is in the log */
  fullOutputAvailable: boolean;
  /** bytes that were not kept */
  droppedBytes: number;
  /** bytes that were stored and are no longer in the log, because it was deleted or cut */
  missingBytes: number;
  /** the end of the output */
  preview: string;
  /** where the next read goes on */
  nextOffset: number;
  /** nothing more will come */
  eof: boolean;
}

/** A match in a log. */
export interface Hit {
  /** of the task */
  id: string;
  /** of the match */
  offset: number;
  /** bytes of the match */
  length: number;
  /** from 1; absent where it was not counted */
  line?: number;
  /** of its line, at most 512 bytes around it */
  text: string;
}

/** One of the answers that are offered. */
export interface Option {
  /** what the answer is when it is chosen */
  label: string;
  /** what choosing it means */
  description?: string;
}

/** One thing to be asked. */
export interface Question {
  /** the text; unique among those asked together */
  question: string;
  /** a short title, at most 12 characters */
  header?: string;
  /** 2 to 4; none: an answer in one's own words */
  options?: Option[];
  /** several labels may be chosen */
  multi_select?: boolean;
  /** what an empty answer, or the deadline, means */
  default?: string;
}

/** What was answered. */
export interface Answer {
  /** by the question's text; empty: it was dismissed */
  answers: Record<string, string>;
  /** why it was dismissed */
  note?: string;
}

/** The notification that a task has ended, for its owner. */
export interface Notification {
  /** `task:<taskId>:<status>`, or `lost:...` of several */
  id: string;
  /** `task.<status>`, or `tasks.lost` */
  type: string;
  /** background_task or session */
  source_kind: string;
  /** the task's id, or the session's folder */
  source_id: string;
  /** of a subagent */
  agentId: string | null;
  /** whose task it was */
  owner: string | null;
  /** how it ended */
  status: string;
  exitCode: number | null;
  signal: number | null;
  /** why it was stopped */
  reason: string | null;
  /** one line */
  title: string;
  severity: 'info' | 'warning' | 'error';
  /** a few sentences */
  body: string;
  /** absolute path of the log */
  outputPath: string | null;
  /** bytes that it printed */
  outputBytes: number;
  /** the last 1,024 bytes of the output at most */
  preview: string;
  /** ids of its tasks */
  tasks: string[];
}

/** What reconcile found out about a task. */
export interface Verdict {
  taskId: string;
  /** status by the record */
  before: string;
  /** status now */
  status: string;
  /** this call wrote the record */
  changed: boolean;
  /** why it is lost */
  evidence: string | null;
  /** what was checked, and the result */
  explained: string;
}

/** One thing that doctor found. */
export interface Finding {
  level: 'note' | 'problem';
  /** which file or task */
  what: string;
  /** the problem, and what to do */
  text: string;
}

/** A folder of tasks. */
export interface Session {
  /** absolute path of its folder */
  path: string;
  /** whose records: perdure or kimi */
  program: string;
  /** tasks by status */
  counts: Counts;
  /** ms since the epoch of the last start or end; 0: none */
  lastChange: number;
}

/** A living process of a task. */
export interface Process {
  pid: number;
  ppid: number;
  /** its command line */
  command: string;
  /** one letter, as in /proc/PID/stat */
  state: string;
  /** ms since the epoch */
  startedAt: number;
  /** processor time so far */
  cpuMs: number;
  /** bytes of memory */
  rss: number;
}

/** An agent that can be started. */
export interface Agent {
  /** for agent.start */
  name: string;
  /** the command lines that are tried, in this order */
  commands: string[];
  /** what it hears when it asks */
  permission: 'allow' | 'deny' | 'ask';
}

/** Where tasks can run besides this machine. */
export interface Executor {
  /** of its definition */
  name: string;
  type: 'ssh' | 'slurm';
  /** the host, the transport or the folder */
  place: string;
  /** false: it stands in the session's perdure.toml, which this user does not trust yet */
  trusted: boolean;
}

/** A range of protocol numbers. */
export interface Versions {
  min: number;
  max: number;
}

/** A program and its version. */
export interface Program {
  name?: string;
  version?: string;
}

/** What this server can do. */
export interface Capabilities {
  /** events.subscribe */
  events: boolean;
  /** agent.start */
  agents: boolean;
  /** task.attach */
  attach: boolean;
  /** task.write is deduplicated by writeId */
  writeId: boolean;
  /** longest line and window, in bytes */
  limits: Record<string, unknown>;
}

export interface InitializeParams {
  /** the protocol numbers that the client speaks */
  protocol: Versions;
  /** for logs */
  client?: Program;
  /** folder of the session (default: the server's) */
  session?: string;
  /** owner of what this connection starts, and whose notifications it claims */
  owner?: string;
}

export interface InitializeResult {
  /** the number that both speak */
  protocol: number;
  server: Program;
  capabilities: Capabilities;
  /** absolute path of the session's folder */
  session: string;
}

export interface SessionListParams {
}

export interface SessionListResult {
  sessions: Session[];
}

export interface SessionDoctorParams {
}

export interface SessionDoctorResult {
  findings: Finding[];
}

export interface SessionReconcileParams {
  /** a person's decision: what cannot be verified counts as lost */
  adopt?: boolean;
  /** only start queued tasks again whose runner was killed */
  queueOnly?: boolean;
}

export interface SessionReconcileResult {
  verdicts: Verdict[];
}

export interface SessionGcParams {
  /** tasks that ended before that */
  olderThanMs?: number;
  /** all but the newest N */
  keep?: number;
  /** the oldest, until the rest takes no more */
  maxBytes?: number;
  /** also tasks with an undelivered notification */
  undelivered?: boolean;
  /** only say what would go */
  dryRun?: boolean;
}

export interface SessionGcResult {
  /** ids */
  removed: string[];
  /** given back to the disk */
  bytes: number;
  /** files of dead processes that were removed besides */
  litter: number;
  /** tasks kept because of an undelivered notification */
  undelivered: number;
  /** what could not be removed, and why */
  kept: string[];
  dryRun: boolean;
}

export interface SessionCloseParams {
  /** stop nothing: only say what runs on */
  keep?: boolean;
}

export interface SessionCloseResult {
  stopped: TaskInfo[];
  /** tasks that run on */
  kept: TaskInfo[];
}

export interface AgentListParams {
}

export interface AgentListResult {
  agents: Agent[];
}

export interface TaskListParams {
  /** only tasks that have not ended; much cheaper in a large session */
  active?: boolean;
  /** only these */
  filter?: Filter;
  /** default: started */
  sort?: 'started' | 'ended' | 'duration' | 'status';
  /** default: descending, the newest first */
  order?: 'ascending' | 'descending';
  /** `next` of the page before, with the same sort and order */
  after?: string;
  /** default 100 */
  limit?: number;
  /** the tasks' records instead of rows */
  records?: boolean;
}

export interface TaskListResult {
  /** unless records were asked for */
  rows?: Row[];
  /** where records were asked for */
  tasks?: TaskInfo[];
  /** cursor of the next page; absent: this is the last one */
  next?: string;
  /** tasks that match the filter */
  total: number;
  /** of all tasks that were looked at, filtered or not */
  counts: Counts;
  /** the same by kind */
  kinds: Record<string, unknown>;
  /** pass it as `since` when you subscribe: no event is missed; an event may repeat what the list already shows */
  seq: number;
}

export interface TaskGetParams {
  /** exact id of a task */
  id: string;
  /** of the output's end; 0: no output (default 32768) */
  previewBytes?: number;
}

export interface TaskGetResult {
  task: TaskInfo;
  /** absent with previewBytes 0 */
  output?: OutputSummary;
}

export interface TaskResolveParams {
  /** an id, its last 8 characters, a prefix of it with 3 of them, or @N: the N-th newest */
  text: string;
  /** only among this owner's tasks */
  owner?: string;
}

export interface TaskResolveResult {
  /** where one task is meant */
  id?: string;
  /** where several are */
  candidates?: Row[];
}

export interface TaskOutputPathParams {
  /** exact id of a task */
  id: string;
}

export interface TaskOutputPathResult {
  /** absolute; null: it printed nothing that was kept */
  path: string | null;
}

export interface TaskProcessesParams {
  /** exact id of a task */
  id: string;
}

export interface TaskProcessesResult {
  processes: Process[];
}

export interface TaskStopParams {
  /** exact id of a task */
  id: string;
  /** why; kept in the record */
  reason?: string;
  /** between SIGTERM and SIGKILL (default: the task's own) */
  graceMs?: number;
  /** on behalf of this owner, who then is not notified */
  by?: string;
}

export interface TaskStopResult {
  task: TaskInfo;
}

export interface TaskDetachParams {
  /** exact id of a task */
  id: string;
  /** its deadline from now on; 0: none (default: what its start asked for, else it stays) */
  timeoutMs?: number;
}

export interface TaskDetachResult {
  task: TaskInfo;
}

export interface TaskExtendParams {
  /** exact id of a task */
  id: string;
  /** how long it may run from now on; 0: without a deadline */
  timeoutMs: number;
}

export interface TaskExtendResult {
  task: TaskInfo;
}

export interface TaskSignalParams {
  /** exact id of a task */
  id: string;
  /** a name such as HUP, or a number */
  signal: string;
}

export interface TaskSignalResult {
  /** its number */
  signal: number;
}

export interface TaskRemoveParams {
  /** exact id of a task */
  id: string;
}

export interface TaskRemoveResult {
}

export interface TaskStartParams {
  /** run as `shell -c command` */
  command?: string;
  /** the command and its arguments, instead of command */
  argv?: string[];
  /** default: as configured, else /bin/sh */
  shell?: string;
  /** without output for so long it times out; 0: never */
  idleTimeoutMs?: number;
  /** pipe: what task.write writes (default: null) */
  input?: 'null' | 'pipe';
  /** a pseudo-terminal of its own, which is also its input */
  terminal?: Terminal;
  /** bytes, of all its processes together; 0: no limit */
  memoryMax?: number;
  /** processors; 0: no limit */
  cpuMax?: number;
  /** processes and threads; 0: no limit */
  pidsMax?: number;
  /** what happens to processes that outlive the command (else as configured) */
  leftovers?: 'keep' | 'kill' | 'wait';
  /** the log is on the disk before the record of the end */
  syncOutput?: boolean;
  /** of at most one live task: `[A-Za-z][A-Za-z0-9._-]{0,62}`, no id, no kind */
  name?: string;
  /** where a live task has the name (default: return) */
  ifRunning?: 'return' | 'refuse' | 'replace';
  /** what asks it to end, by name or number (default: TERM) */
  stopSignal?: string;
  /** when the command has ended, it is started again by the same task (default: no) */
  restart?: 'no' | 'on-failure' | 'always';
  /** how often at most; 0: no limit (default: 10 with on-failure, else no limit) */
  restartMax?: number;
  /** before the second attempt; doubled up to 60 s, reset after 10 s of life (default: 1000) */
  restartDelayMs?: number;
  /** for people; made from the command if absent */
  description?: string;
  /** where it runs; absolute, or relative to the server's folder */
  cwd?: string;
  /** added to the server's environment */
  env?: Record<string, string>;
  /** start from an empty environment */
  clearEnv?: boolean;
  /** its deadline; 0: none (else as configured) */
  timeoutMs?: number;
  /** between SIGTERM and SIGKILL (else as configured) */
  graceMs?: number;
  /** bytes of output that are kept; 0: all (else as configured) */
  outputLimit?: number;
  /** what happens over the limit (else as configured) */
  onOutputLimit?: 'truncate' | 'stop';
  /** session: session.close stops it */
  lifetime?: 'detached' | 'session';
  /** who is notified of its end (else the connection's) */
  owner?: string;
  /** the tool call it belongs to */
  toolCallId?: string;
  /** labels of your own */
  labels?: Record<string, string>;
  /** commands for /bin/sh -c that are run at its end */
  onEnd?: string[];
  /** 1 to 120 bytes: a second start with it returns the first one's task */
  idempotencyKey?: string;
  /** over the cap: wait for a slot instead of a refusal */
  queue?: boolean;
  /** in the queue, the higher the sooner */
  priority?: number;
  /** id of a task, or several: start when all have completed; ends as killed if one does not */
  after?: string | string[];
  /** id of a task, or several: start when all have ended, in whichever way */
  afterAny?: string | string[];
}

export interface TaskStartResult {
  task: TaskInfo;
  /** the key was known, or a live task has the name: nothing was started */
  existing?: boolean;
  /** with `existing`: that task runs the same command */
  sameCommand?: boolean;
}

export interface TaskRerunParams {
  /** exact id of a task that ran a command */
  id: string;
  /** where it, or a task of its name, is live (default: refuse) */
  ifRunning?: 'return' | 'refuse' | 'replace';
  /** over the cap: wait for a slot instead of a refusal */
  queue?: boolean;
  /** in the queue, the higher the sooner */
  priority?: number;
  /** 1 to 120 bytes: a second call with it returns the first one's task */
  idempotencyKey?: string;
}

export interface TaskRerunResult {
  task: TaskInfo;
  /** the key was known, or a live task has the name: nothing was started */
  existing?: boolean;
  /** with `existing`: that task runs the same command */
  sameCommand?: boolean;
}

export interface AgentStartParams {
  /** which agent: see agent.list */
  agent?: string;
  /** what it is to do; with `resume` it may be absent */
  prompt?: string;
  /** agentId of a conversation that is to go on */
  resume?: string;
  /** else as configured */
  model?: string;
  /** else as configured */
  mode?: string;
  /** what it hears when it asks (else as configured) */
  permission?: 'allow' | 'deny' | 'ask';
  /** a question that is not answered in time is a no (default: 30 minutes) */
  permissionTimeoutMs?: number;
  /** what it thinks is kept in its activity, too */
  thoughts?: boolean;
  /** for people; made from the command if absent */
  description?: string;
  /** where it runs; absolute, or relative to the server's folder */
  cwd?: string;
  /** added to the server's environment */
  env?: Record<string, string>;
  /** start from an empty environment */
  clearEnv?: boolean;
  /** its deadline; 0: none (else as configured) */
  timeoutMs?: number;
  /** between SIGTERM and SIGKILL (else as configured) */
  graceMs?: number;
  /** bytes of output that are kept; 0: all (else as configured) */
  outputLimit?: number;
  /** what happens over the limit (else as configured) */
  onOutputLimit?: 'truncate' | 'stop';
  /** session: session.close stops it */
  lifetime?: 'detached' | 'session';
  /** who is notified of its end (else the connection's) */
  owner?: string;
  /** the tool call it belongs to */
  toolCallId?: string;
  /** labels of your own */
  labels?: Record<string, string>;
  /** commands for /bin/sh -c that are run at its end */
  onEnd?: string[];
  /** 1 to 120 bytes: a second start with it returns the first one's task */
  idempotencyKey?: string;
  /** over the cap: wait for a slot instead of a refusal */
  queue?: boolean;
  /** in the queue, the higher the sooner */
  priority?: number;
  /** id of a task, or several: start when all have completed; ends as killed if one does not */
  after?: string | string[];
  /** id of a task, or several: start when all have ended, in whichever way */
  afterAny?: string | string[];
}

export interface AgentStartResult {
  task: TaskInfo;
  /** the key was known, or a live task has the name: nothing was started */
  existing?: boolean;
  /** with `existing`: that task runs the same command */
  sameCommand?: boolean;
}

export interface TaskEditParams {
  /** exact id of a task that waits in the queue */
  id: string;
  /** run this instead, as `shell -c command` */
  command?: string;
  /** run this instead, without a shell */
  argv?: string[];
  /** with command (default: /bin/sh) */
  shell?: string;
  /** for people */
  description?: string;
  /** behind all that have it already; the higher the sooner */
  priority?: number;
  /** id of a task that waits for a slot: right before that one */
  before?: string;
  /** before all others that wait for a slot */
  first?: boolean;
  /** its deadline; 0: none */
  timeoutMs?: number;
  /** without output for so long it times out; 0: never */
  idleTimeoutMs?: number;
  /** between SIGTERM and SIGKILL */
  graceMs?: number;
  /** bytes of output that are kept; 0: all */
  outputLimit?: number;
  /** bytes, of all its processes together; 0: no limit */
  memoryMax?: number;
  /** processors; 0: no limit */
  cpuMax?: number;
  /** processes and threads; 0: no limit */
  pidsMax?: number;
}

export interface TaskEditResult {
  /** as it waits now */
  task: TaskInfo;
}

export interface TaskOutputParams {
  /** exact id of a task */
  id: string;
  /** offset of the first byte (default: 0) */
  at?: number;
  /** instead: the last bytes */
  tailBytes?: number;
  /** instead: the last lines, of the last 256 KiB */
  tailLines?: number;
  /** bytes (default 65536) */
  limit?: number;
  /** begin at the start of a line, at most 64 KiB before `at` */
  align?: boolean;
  /** default: utf8, with what is invalid as U+FFFD */
  encoding?: 'utf8' | 'base64';
  /** where there is nothing yet: wait so long for it */
  waitMs?: number;
}

export interface TaskOutputResult {
  data: string;
  /** of data */
  encoding: 'utf8' | 'base64';
  /** of the first byte */
  offset: number;
  /** where the next window begins */
  nextOffset: number;
  /** bytes of the stream so far */
  size: number;
  /** the task has ended and nextOffset is the end */
  eof: boolean;
  /** bytes before `offset` that were asked for and were not kept */
  gap?: Gap;
}

export interface TaskActivityParams {
  /** exact id of a task */
  id: string;
  /** offset of a line (default: 0) */
  at?: number;
  /** bytes (default 65536) */
  limit?: number;
  /** where there is nothing yet: wait so long for it */
  waitMs?: number;
}

export interface TaskActivityResult {
  /** see docs/guide/agents.md */
  lines: Record<string, unknown>[];
  /** where the next window begins */
  nextOffset: number;
  /** bytes of the activity so far */
  size: number;
  /** nothing more will come */
  eof: boolean;
}

export interface TaskWriteParams {
  /** exact id of a task */
  id: string;
  data: string;
  /** of data (default: utf8) */
  encoding?: 'utf8' | 'base64';
  /** close the input afterwards */
  eof?: boolean;
  /** a name for this write, 1 to 256 bytes: repeated with the same name and data it is typed once, also by another server. The task's runner remembers the latest 128. Not for tasks that run elsewhere */
  writeId?: string;
}

export interface TaskWriteResult {
  /** how many were written, by this call or by the one it repeats */
  bytes: number;
}

export interface TaskAttachParams {
  /** exact id of a task */
  id: string;
  /** only watch: any number may, one may type */
  readOnly?: boolean;
  /** offset of the first byte to be sent (default: only what is printed from now on) */
  at?: number;
  /** instead: begin with the last bytes */
  tailBytes?: number;
}

export interface TaskAttachResult {
  /** names it in what follows */
  attachment: string;
  /** where the chunks begin */
  offset: number;
  /** none: it only watches */
  input: 'terminal' | 'pipe' | 'none';
  /** its size, where the task has one */
  terminal?: Terminal;
}

export interface TaskInputParams {
  /** from task.attach */
  attachment: string;
  data: string;
  /** of data (default: utf8) */
  encoding?: 'utf8' | 'base64';
  /** close the input afterwards; on a terminal Ctrl-D is typed */
  eof?: boolean;
}

export interface TaskInputResult {
  /** how many were written */
  bytes: number;
}

export interface TaskResizeParams {
  /** from task.attach */
  attachment: string;
  rows: number;
  columns: number;
}

export interface TaskResizeResult {
}

export interface TaskLeaveParams {
  /** from task.attach */
  attachment: string;
}

export interface TaskLeaveResult {
  /** false: there was none of that name, or it had ended */
  left: boolean;
}

export interface TaskSearchParams {
  /** a match never reaches across a line end */
  pattern: string;
  /** in the log of this task (else of all that match the filter, the newest first) */
  id?: string;
  /** in the logs of these tasks */
  filter?: Filter;
  /** regex: RE2 (default: text) */
  mode?: 'text' | 'regex';
  /** smart: ignored unless the pattern has a capital letter (default) */
  case?: 'exact' | 'ignore' | 'smart';
  /** offset: hits from there on, or backward before it */
  from?: number;
  /** backward: the nearest first (default: forward) */
  direction?: 'forward' | 'backward';
  /** how many hits are returned; all are counted (default 100) */
  limit?: number;
  /** a name of yours: hits come as task.search.hit notifications with it, instead of in the result, and each 64 MiB task.search.progress */
  stream?: string;
}

export interface TaskSearchResult {
  /** matches, also those that are not returned */
  total: number;
  /** tasks with at least one */
  tasks: number;
  /** unless they were streamed */
  hits?: Hit[];
}

export interface TaskFirstFailureParams {
  /** exact id of a task */
  id: string;
}

export interface TaskFirstFailureResult {
  /** where to look first */
  offset: number;
  /** false: nothing looks like a failure, and it is the end */
  found: boolean;
}

export interface TaskWaitParams {
  /** exact ids; absent or empty: every task that is active now */
  ids?: string[];
  /** default: all */
  mode?: 'all' | 'any' | 'first_failure';
  /** give up after that long; the tasks run on */
  timeoutMs?: number;
  /** without ids: wait for tasks that start meanwhile, too */
  drain?: boolean;
  /** only this owner's tasks; it is not notified of those in the result */
  owner?: string;
  /** of one task: until a line of its output matches this regular expression (RE2) */
  match?: string;
  /** of one task: `tcp:PORT` or `http://localhost:PORT/PATH`, until a process of the task serves it; `tcp:any:PORT`, `http+any://...`: any process */
  ready?: string;
}

export interface TaskWaitResult {
  /** the time passed first */
  timedOut: boolean;
  /** of any and first_failure: the task that ended the wait */
  decisive?: TaskInfo;
  /** in the order in which they ended */
  ended: TaskInfo[];
  running: TaskInfo[];
  /** nothing here can say when they end: they are not waited for */
  unverified: TaskInfo[];
  /** of match and ready: the condition holds */
  met?: boolean;
}

export interface QuestionAskParams {
  /** 1 to 4 */
  questions: Question[];
  /** for people who list tasks; made from the first question if absent */
  description?: string;
  /** how long it may take; 0: for ever */
  deadlineMs?: number;
  /** what then (default: expire) */
  onDeadline?: 'wait' | 'default' | 'expire';
  /** who is notified of the answer (else the connection's) */
  owner?: string;
  /** the tool call it belongs to */
  toolCallId?: string;
  /** labels of your own */
  labels?: Record<string, string>;
  /** session: session.close withdraws it */
  lifetime?: 'detached' | 'session';
}

export interface QuestionAskResult {
  task: TaskInfo;
}

export interface QuestionGetParams {
  /** exact id of a question */
  id: string;
}

export interface QuestionGetResult {
  task: TaskInfo;
  /** what was asked */
  questions: Question[];
  /** what was answered */
  answer?: Answer;
}

export interface QuestionAnswerParams {
  /** exact id of a question */
  id: string;
  /** by the question's text: the answer, or a list of labels; those left out get their defaults */
  answers?: Record<string, unknown>;
  /** instead: end it without an answer */
  dismiss?: boolean;
  /** with dismiss: why */
  note?: string;
}

export interface QuestionAnswerResult {
  task: TaskInfo;
  /** what was asked */
  questions: Question[];
  /** what was answered */
  answer?: Answer;
}

export interface NotificationsListParams {
  /** only of this owner's tasks (else the connection's, else all) */
  owner?: string;
}

export interface NotificationsListResult {
  /** oldest first */
  notifications: Notification[];
}

export interface NotificationsClaimParams {
  /** only of this owner's tasks (else the connection's, else all) */
  owner?: string;
  /** how long the claim stands (default: while this connection lives, and 60 s at most) */
  leaseMs?: number;
  /** tasks at once (default 256) */
  limit?: number;
}

export interface NotificationsClaimResult {
  /** oldest first */
  notifications: Notification[];
}

export interface NotificationsAckParams {
  /** of notifications or tasks */
  ids: string[];
  /** the channel that delivered it, in a word (default: rpc) */
  via?: string;
}

export interface NotificationsAckResult {
}

export interface NotificationsAwaitParams {
  /** only of this owner's tasks (else the connection's, else all) */
  owner?: string;
  /** give up after that long */
  timeoutMs?: number;
}

export interface NotificationsAwaitResult {
  /** false: the time passed first */
  available: boolean;
}

export interface EventsSubscribeParams {
  /** all events after this number first, then new ones; 0: all events in the records (absent: only what happens) */
  since?: number;
  /** only of these tasks */
  filter?: Filter;
  /** rows instead of records */
  rows?: boolean;
}

export interface EventsSubscribeResult {
  /** identifies it in delivered events */
  subscription: string;
  /** the last event before */
  seq: number;
}

export interface EventsUnsubscribeParams {
  subscription: string;
}

export interface EventsUnsubscribeResult {
  /** false: there was none of that name */
  ended: boolean;
}

export interface ExecutorsListParams {
}

export interface ExecutorsListResult {
  /** by name */
  executors: Executor[];
}

/** What an attached task printed. The next chunk is read from the log once this one was taken: a slow client costs the server no memory. */
export interface TaskChunkNotification {
  /** from task.attach */
  attachment: string;
  /** base64 */
  data: string;
  /** of the first byte */
  offset: number;
  /** of the first byte behind it */
  nextOffset: number;
  /** bytes of the stream so far: what lies behind nextOffset comes next */
  size: number;
  /** bytes before `offset` that were not kept, or were dropped while this client was slow */
  gap?: Gap;
}

/** The attachment has ended: the task has, and all it printed was sent; or it can't be read. */
export interface TaskAttachmentEndedNotification {
  /** from task.attach */
  attachment: string;
  /** as it ended */
  task?: TaskInfo;
  /** instead: why nothing more can be read */
  message?: string;
}

/** Found by a task.search with `stream`, before its answer. */
export interface TaskSearchHitNotification {
  /** `stream` of the call */
  search: string;
  /** of the task */
  id: string;
  /** of the match */
  offset: number;
  /** bytes of the match */
  length: number;
  /** from 1; absent where it was not counted */
  line?: number;
  /** of its line, at most 512 bytes around it */
  text: string;
}

/** How far a task.search with `stream` has come: each 64 MiB of a log. */
export interface TaskSearchProgressNotification {
  /** `stream` of the call */
  search: string;
  /** of the task whose log is being read */
  id: string;
  /** of it that were read */
  bytes: number;
}

/** Something happened to a task. Events of one task are in order. */
export interface EventNotification {
  /** from events.subscribe */
  subscription: string;
  /** grows within a session; 0: the event has no number */
  seq: number;
  type: 'task.started' | 'task.updated' | 'task.terminated';
  /** ms since the epoch */
  time: number;
  /** as it was then */
  task?: TaskInfo;
  /** instead of task, where rows were asked for */
  row?: Row;
  /** of task.terminated: the last 1,024 bytes of the output at most */
  outputTail?: string;
}

/** After a subscription with `since`: the session has tasks of other programs, whose events have no numbers and cannot be asked for again. List the tasks to see what happened to them. */
export interface ResetNotification {
  /** from events.subscribe */
  subscription: string;
  /** the last number that was delivered */
  seq: number;
}

/** The client took nothing for 10 s and too much was waiting: the subscription ended. Subscribe again with `since`. */
export interface OverflowNotification {
  /** from events.subscribe */
  subscription: string;
  /** the last number that was delivered */
  seq: number;
}

/** The session cannot be watched any more: the subscription ended. */
export interface FailureNotification {
  /** from events.subscribe */
  subscription: string;
  /** why */
  message: string;
}

/** Every method, with its parameters and its result. */
export interface Methods {
  /** Begins a connection. Any other call before it fails with -32002. */
  'initialize': { params: InitializeParams; result: InitializeResult };
  /** The sessions below the state folder, this one, those of `rpc.sessions` in the configuration, and the newest of other programs. The disk is not searched. */
  'session.list': { params: SessionListParams; result: SessionListResult };
  /** What is wrong with the session. */
  'session.doctor': { params: SessionDoctorParams; result: SessionDoctorResult };
  /** Settles what can be proven about tasks whose runner is gone. */
  'session.reconcile': { params: SessionReconcileParams; result: SessionReconcileResult };
  /** Removes ended tasks by age, number or size; without any of these as configured. */
  'session.gc': { params: SessionGcParams; result: SessionGcResult };
  /** Stops every task whose lifetime is `session`, and waits for it. */
  'session.close': { params: SessionCloseParams; result: SessionCloseResult };
  /** The agents that agent.start knows. */
  'agent.list': { params: AgentListParams; result: AgentListResult };
  /** A page of tasks. The cursor stays correct while tasks come and go. */
  'task.list': { params: TaskListParams; result: TaskListResult };
  /** What is known of one task, and the end of its output. */
  'task.get': { params: TaskGetParams; result: TaskGetResult };
  /** Which task a person means. For interactive clients: all other methods take exact ids only. */
  'task.resolve': { params: TaskResolveParams; result: TaskResolveResult };
  /** Where its log is. */
  'task.outputPath': { params: TaskOutputPathParams; result: TaskOutputPathResult };
  /** The living processes of a task. */
  'task.processes': { params: TaskProcessesParams; result: TaskProcessesResult };
  /** Stops the whole process tree of a task and waits for its end. A task that has ended is returned unchanged. */
  'task.stop': { params: TaskStopParams; result: TaskStopResult };
  /** Makes a foreground task of another program a background task. */
  'task.detach': { params: TaskDetachParams; result: TaskDetachResult };
  /** Its deadline counts from now. */
  'task.extend': { params: TaskExtendParams; result: TaskExtendResult };
  /** Sends a signal to the command's process group. */
  'task.signal': { params: TaskSignalParams; result: TaskSignalResult };
  /** Removes a task that has ended, with its output. */
  'task.remove': { params: TaskRemoveParams; result: TaskRemoveResult };
  /** Starts a task. Returns once its command runs and its record is durable, or once its place in the queue is. */
  'task.start': { params: TaskStartParams; result: TaskStartResult };
  /** Starts the command of a task once more, as a new task: same folder, limits, name, owner, labels, and additions to the environment. */
  'task.rerun': { params: TaskRerunParams; result: TaskRerunResult };
  /** Starts a turn of a subagent, as a task whose output is the agent's final message. */
  'agent.start': { params: AgentStartParams; result: AgentStartResult };
  /** Changes a task that waits in the queue, before it starts. What is absent stays. */
  'task.edit': { params: TaskEditParams; result: TaskEditResult };
  /** A window of what a task printed. Offsets count bytes of the stream. */
  'task.output': { params: TaskOutputParams; result: TaskOutputResult };
  /** What a subagent did. */
  'task.activity': { params: TaskActivityParams; result: TaskActivityResult };
  /** Writes to a task's input. Waits while the command does not read. */
  'task.write': { params: TaskWriteParams; result: TaskWriteResult };
  /** Has what a task prints sent as task.chunk notifications and, unless it only watches, takes its input. Ends with task.leave, with the connection, or with the task: then comes task.attachment.ended. A client that connects again attaches with `at`. */
  'task.attach': { params: TaskAttachParams; result: TaskAttachResult };
  /** Types into an attached task. Calls for one attachment are worked on in their order. Waits while the command does not read. */
  'task.input': { params: TaskInputParams; result: TaskInputResult };
  /** Sets the size of an attached task's terminal. */
  'task.resize': { params: TaskResizeParams; result: TaskResizeResult };
  /** Ends an attachment, not the task. Nothing of it is sent after the answer. */
  'task.leave': { params: TaskLeaveParams; result: TaskLeaveResult };
  /** Looks for a text or a regular expression in logs, in time that is linear in their size. */
  'task.search': { params: TaskSearchParams; result: TaskSearchResult };
  /** A place in the log to jump to: the last line that looks like a failure. Never a verdict. */
  'task.firstFailure': { params: TaskFirstFailureParams; result: TaskFirstFailureResult };
  /** Waits until tasks end, or until a condition holds. Cancelling it ends no task. */
  'task.wait': { params: TaskWaitParams; result: TaskWaitResult };
  /** Asks; the task runs until it is answered, from any process. */
  'question.ask': { params: QuestionAskParams; result: QuestionAskResult };
  /** What was asked, and what was answered. */
  'question.get': { params: QuestionGetParams; result: QuestionGetResult };
  /** Answers all questions of a task, or dismisses them. Of two who answer at once exactly one succeeds. */
  'question.answer': { params: QuestionAnswerParams; result: QuestionAnswerResult };
  /** The undelivered notifications. Claims nothing. */
  'notifications.list': { params: NotificationsListParams; result: NotificationsListResult };
  /** The same, but only what no other process delivers; others leave them to this connection. Deliver them, then acknowledge them. */
  'notifications.claim': { params: NotificationsClaimParams; result: NotificationsClaimResult };
  /** The owner has been notified: it is not notified again. Idempotent. */
  'notifications.ack': { params: NotificationsAckParams; result: NotificationsAckResult };
  /** Waits until there is something to claim. */
  'notifications.await': { params: NotificationsAwaitParams; result: NotificationsAwaitResult };
  /** Has `event` notifications sent. A client that connects again subscribes with `since`. Numbers are given out before a record is visible: go back some seconds, in microseconds, and drop what you have seen. */
  'events.subscribe': { params: EventsSubscribeParams; result: EventsSubscribeResult };
  /** Ends a subscription. No event is sent after the answer. */
  'events.unsubscribe': { params: EventsUnsubscribeParams; result: EventsUnsubscribeResult };
  /** Where tasks can run besides this machine. Contacts none of them. */
  'executors.list': { params: ExecutorsListParams; result: ExecutorsListResult };
}
