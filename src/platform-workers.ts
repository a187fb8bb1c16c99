import type { Clock, Hmac, Log, Random } from './platform.ts';
import type { Socket } from './tails/ports.ts';

/** The ports of platform.ts as Workers have them: real time, real chance, JSON lines. */

export const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => scheduler.wait(ms),
};

const UINT32_RANGE = 2 ** 32;

export const random: Random = {
  fraction: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / UINT32_RANGE,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** The key is imported once. */
export function hmacUnder(key: Uint8Array): Hmac {
  // The key itself and no promise of it: one request can't wait for what another began.
  let imported: CryptoKey | null = null;
  return async (message) => {
    imported ??= await crypto.subtle.importKey('raw', key, HMAC_SHA256, false, ['sign']);
    return new Uint8Array(await crypto.subtle.sign(HMAC_SHA256.name, imported, message));
  };
}

const HMAC_SHA256 = { name: 'HMAC', hash: 'SHA-256' };

const WRITE = { info: console.log, warn: console.warn, error: console.error };

export const log: Log = (level, message, fields = {}) => {
  // There is a line for each request: each of its values is looked at only where one is an error.
  const look = Object.values(fields).some((value) => value instanceof Error) ? readable : undefined;
  WRITE[level](JSON.stringify({ level, message, ...fields }, look));
};

/** Errors have no enumerable fields: as they are they would be written as `{}`. */
function readable(_key: string, value: unknown): unknown {
  return value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value;
}

/** Answers a WebSocket upgrade; `take` gets the other end, open. */
export function upgrade(take: (socket: Socket) => void): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  take(openSocket(server));
  return new Response(null, { status: 101, webSocket: client });
}

/** Opens one end of a WebSocket. Its closing never throws. */
export function openSocket(webSocket: WebSocket): Socket {
  webSocket.accept();
  return {
    send: (text) => webSocket.send(text),
    close: (code, reason) => {
      try {
        webSocket.close(code, reason);
      } catch {
        // It has failed already.
      }
    },
    listen: ({ message, closed }) => {
      webSocket.addEventListener('message', ({ data }) => message(typeof data === 'string' ? data : ''));
      webSocket.addEventListener('close', ({ code }) => closed(code));
      webSocket.addEventListener('error', () => closed(BROKEN_OFF));
    },
  };
}

/** The code of a WebSocket that ended without one (RFC 6455, 7.1.5). */
const BROKEN_OFF = 1006;
