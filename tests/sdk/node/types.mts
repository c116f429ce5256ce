// Compiled by tsc, never run: what the declarations promise, and what they refuse (V52).
import { Perdure, PerdureError, type Event, type Methods, type Row, type Task, type TaskInfo } from 'perdure';
import { Session, type BackgroundTaskEvent } from 'perdure/kimi';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <T extends true>(): T => true as T;

export async function use(signal: AbortSignal): Promise<void> {
  await using perdure = await Perdure.open({ session: '/tmp/s', owner: 'o', signal });
  const task = await perdure.start({ command: 'make -j4', timeoutMs: 600_000, idempotencyKey: 'k', signal });
  same<Same<typeof task, Task>>();
  same<Same<TaskInfo['status'], 'queued' | 'running' | 'completed' | 'failed' | 'timed_out' | 'killed' | 'lost'>>();
  same<Same<Methods['task.get']['result']['task'], TaskInfo>>();
  for await (const event of perdure.events({ since: 1, signal })) {
    same<Same<typeof event, Event>>();
    if (event.type === 'task.terminated') console.log(event.task.exitCode, event.outputTail);
    // @ts-expect-error a reset has no task
    if (event.type === 'reset') console.log(event.task);
  }
  for await (const chunk of task.output({ follow: true, signal })) console.log(chunk.byteLength);
  const text: string = await task.output().text();
  const { ended } = await perdure.wait({ ids: [task.id], mode: 'all', signal });
  same<Same<typeof ended, Task[]>>();
  await task.stop({ reason: text });
  await perdure.answer('question-00000000', { answers: { 'Q?': ['a', 'b'] } });
  const page = await perdure.call('task.list', { limit: 1 });
  const rows: Row[] | undefined = page.rows;
  console.log(rows);
  // @ts-expect-error an unknown method
  await perdure.call('no.such');
  // @ts-expect-error a wrong type
  await perdure.start({ command: 3 });
  // @ts-expect-error a wrong word
  await perdure.wait({ mode: 'some' });
  // @ts-expect-error open() makes one
  new Perdure();
  try {
    await perdure.get('x');
  } catch (error) {
    if (error instanceof PerdureError) console.log(error.code, error.retryable, error.uncertain, error.details['exit']);
  }
  const kimi = await Session.open({ session: '/tmp/s' });
  const path: string | undefined = await kimi.getBackgroundTaskOutputPath('x');
  const end = kimi.onEvent('background.task.terminated', (event: BackgroundTaskEvent) => console.log(event.info.taskId, path));
  await end.ready;
  end();
  // @ts-expect-error an unknown event
  kimi.onEvent('background.task.frobbed', () => {});
}
