import type { OpenOptions, Perdure, TaskInfo } from './index.js';

export { PerdureError } from './index.js';

export type BackgroundTaskEventName =
  | 'background.task.started'
  | 'background.task.updated'
  | 'background.task.terminated';

export interface BackgroundTaskEvent {
  type: BackgroundTaskEventName;
  info: TaskInfo;
}

export interface EndListening {
  (): void;
  /** Resolves once nothing that happens is missed. */
  readonly ready: Promise<void>;
}

/** The methods and events of a session's background tasks as kimi-code's SDK has them. */
export declare class Session {
  constructor(perdure: Perdure);
  static open(options?: OpenOptions): Promise<Session>;
  readonly perdure: Perdure;
  listBackgroundTasks(options?: { activeOnly?: boolean; limit?: number }): Promise<TaskInfo[]>;
  /** `tail` counts characters; '' where the id is unknown. */
  getBackgroundTaskOutput(id: string, options?: { tail?: number }): Promise<string>;
  getBackgroundTaskOutputPath(id: string): Promise<string | undefined>;
  /** Does not fail where the id is unknown or the task has ended. */
  stopBackgroundTask(id: string, options?: { reason?: string }): Promise<void>;
  detachBackgroundTask(id: string): Promise<TaskInfo | undefined>;
  onEvent(name: BackgroundTaskEventName, listener: (event: BackgroundTaskEvent) => void): EndListening;
  close(): Promise<void>;
}
