// The official SDK of the legacy era: lists the tools, makes the calls of argv[3] (JSON: [[tool, arguments]...]) against
// the server of argv[2] (JSON: [command, ...arguments]), and prints what came back as JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const [command, ...args] = JSON.parse(process.argv[2]);
const client = new Client({ name: 'sdk-v1', version: '1' }, { capabilities: {} });
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' }));
const { tools } = await client.listTools(); // from here on the SDK checks results against their outputSchema
const results = [];
for (const [name, toolArguments] of JSON.parse(process.argv[3])) {
  results.push(await client.callTool({ name, arguments: toolArguments }));
}
const task = [];
if (process.argv[4]) {
  for await (const message of client.experimental.tasks.callToolStream(
    { name: 'Bash', arguments: { command: process.argv[4] } }, undefined, { task: { ttl: 60000 } })) {
    task.push(message);
  }
}
const templates = await client.listResourceTemplates();
console.log(JSON.stringify({ version: client.getServerVersion(), tools, results, task, templates }));
await client.close();
