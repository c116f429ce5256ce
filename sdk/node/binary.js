import { accessSync, constants, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PerdureError } from './error.js';

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function inPlatformPackage(platform) {
  try {
    const manifest = createRequire(import.meta.url).resolve(`@perdure/${platform}/package.json`);
    return path.join(path.dirname(manifest), 'bin', 'perdure');
  } catch {
    return undefined;
  }
}

/** The program itself, not the package's `bin`: option, $PERDURE_BINARY, platform package, PATH. */
export function findBinary(binary, env = process.env) {
  if (binary) return binary;
  if (env.PERDURE_BINARY) return env.PERDURE_BINARY;
  const platform = `${process.platform}-${process.arch}`;
  const packaged = inPlatformPackage(platform);
  if (packaged && isProgram(packaged)) return packaged;
  for (const folder of (env.PATH ?? '').split(':')) {
    const file = path.resolve(folder || '.', 'perdure');
    if (isProgram(file)) return file;
  }
  throw new PerdureError(
    'binary.not_found',
    `the program perdure was not found: the package @perdure/${platform} is missing (was npm called with --no-optional ` +
      'or --omit=optional?), and perdure is not in PATH; install one of them, or name it by `binary` or $PERDURE_BINARY',
  );
}
