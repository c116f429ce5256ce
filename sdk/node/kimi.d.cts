import type { Session as RealSession } from './kimi.js' with { 'resolution-mode': 'import' };
import type { OpenOptions } from './index.js' with { 'resolution-mode': 'import' };

export declare const Session: {
  open(options?: OpenOptions): Promise<RealSession>;
};
