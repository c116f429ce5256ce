#!/usr/bin/env node
// A plain function-calling agent loop with background tasks: `agent-loop.mjs SESSION`.
//
// The model is a script here, so that the example runs anywhere; put your own in its place. What matters is between:
// tools that start, look at and stop tasks, and endings that reach the model as they come, with no polling.
import { Perdure, PerdureError } from '../../sdk/node/index.js'; // from 'perdure' in a program of your own

const perdure = await Perdure.open({ session: process.argv[2], owner: 'example-agent' });

const tools = {
  start: async ({ command, description }) => ({ id: (await perdure.start({ command, description, timeoutMs: 600_000 })).id }),
  look: async ({ id }) => ({ status: (await perdure.get(id)).status, output: await perdure.text(id, { tailLines: 20 }) }),
  stop: async ({ id, reason }) => ({ status: (await perdure.stop(id, { reason })).status }),
};

// Stands for a model: it is sent messages, and answers with a call of a tool, or with its final words.
function* scriptedModel() {
  const build = yield { call: 'start', arguments: { command: 'echo building; sleep 0.2; echo done; exit 3', description: 'build' } };
  const server = yield { call: 'start', arguments: { command: 'sleep 600', description: 'server' } };
  yield { wait: true };
  const look = yield { call: 'look', arguments: { id: build.result.id } };
  yield { call: 'stop', arguments: { id: server.result.id, reason: 'the build failed' } };
  return { final: `The build failed; it printed: ${JSON.stringify(look.result.output)}` };
}

const model = scriptedModel();
let { value: answer, done } = model.next();
while (!done) {
  let message;
  if (answer.call) {
    try {
      message = { result: await tools[answer.call](answer.arguments) };
    } catch (error) {
      if (!(error instanceof PerdureError)) throw error;
      message = { result: { error: error.code, message: error.message } };
    }
  } else {
    // Nothing to do until a task has ended, whoever ends it.
    await perdure.call('notifications.await');
    const news = await perdure.notifications();
    message = { news: news.map((one) => `${one.title}\n${one.preview}`).join('\n') };
    await perdure.acknowledge(news.map((one) => one.id), { via: 'agent-loop' });
  }
  console.log('->', JSON.stringify(message));
  ({ value: answer, done } = model.next(message));
}
console.log(answer.final);
await perdure.close();
