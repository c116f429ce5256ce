// The same for programs that require().
import kimi = require('perdure/kimi');

export async function use(): Promise<string[]> {
  const session = await kimi.Session.open({ session: '/tmp/s' });
  return (await session.listBackgroundTasks({ activeOnly: true })).map((info) => info.taskId);
}
