// The official SDK that speaks both eras; argv[2] and argv[3] as for sdk_v1.mjs, argv[4]: legacy or auto.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [command, ...args] = JSON.parse(process.argv[2]);
const mode = process.argv[4] === 'legacy' ? 'legacy' : process.argv[4];
const client = new Client({ name: 'sdk-v2', version: '1' }, { capabilities: {}, versionNegotiation: { mode } });
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: 'inherit' }));
const { tools } = await client.listTools();
const results = [];
for (const [name, toolArguments] of JSON.parse(process.argv[3])) {
  results.push(await client.callTool({ name, arguments: toolArguments }));
}
console.log(JSON.stringify({ version: client.getServerVersion(), era: client.getNegotiatedProtocolVersion(), tools, results }));
await client.close();
