// Prints the public surface of the Node SDK, a name a line, as it is when it runs.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const sdk = fileURLToPath(new URL('../../../sdk/node/', import.meta.url));
const lines = [];
for (const name of ['index', 'kimi']) {
  const module = await import(path.join(sdk, `${name}.js`));
  for (const [exported, value] of Object.entries(module)) {
    lines.push(`node ${name} ${exported}`);
    if (typeof value !== 'function') continue;
    const members = [...Object.getOwnPropertyNames(value.prototype), ...Object.getOwnPropertyNames(value)];
    for (const member of members)
      if (!['constructor', 'prototype', 'length', 'name', 'stackTraceLimit', 'captureStackTrace'].includes(member))
        lines.push(`node ${name} ${exported}.${member}`);
  }
}
console.log(lines.sort().join('\n'));
