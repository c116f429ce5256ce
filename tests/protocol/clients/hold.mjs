// Starts a background task (argv[3]: its command) through the server of argv[2], prints the task and the server's pid,
// and then stays there.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [command, ...args] = JSON.parse(process.argv[2]);
const client = new Client({ name: 'hold', version: '1' }, { capabilities: {} });
const transport = new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' });
await client.connect(transport);
const started = await client.callTool({
  name: 'Bash', arguments: { command: process.argv[3], run_in_background: true, description: 'held' } });
console.log(JSON.stringify({ task: started.structuredContent.task_id, server: transport.pid }));
setInterval(() => {}, 1 << 30);
