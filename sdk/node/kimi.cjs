'use strict';

// Node 20 cannot require() an ES module. There is one copy of everything: this one only loads it.
exports.Session = class Session {
  static async open(options) {
    const { Session: Real } = await import('./kimi.js');
    return Real.open(options);
  }

  static [Symbol.hasInstance](value) {
    return typeof value?.listBackgroundTasks === 'function' && typeof value?.onEvent === 'function';
  }
};
