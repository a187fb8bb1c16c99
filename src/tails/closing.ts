import type { TailEnd } from './tail.ts';

/** How a tail ends: with a last word that says why, and after which sequence to go on. */

export type ClosingCode =
  | TailEnd
  /** It has lasted, or brought, as much as one connection may: come back. */
  | 'reconnect'
  | 'too-slow'
  /** Of what was not sent: it says nothing of what was taken. */
  | 'invalid-acknowledgement'
  | 'expired-key'
  | 'revoked-key'
  | 'internal-error'
  /** Nobody is left to read it. */
  | 'hung-up';

/** Close codes of a WebSocket, after the statuses of HTTP where there is one that says the same. */
export const CLOSE_CODES: Record<ClosingCode, number> = {
  done: 1000,
  'hung-up': 1000,
  reconnect: 4000,
  'invalid-acknowledgement': 4400,
  'expired-key': 4401,
  'revoked-key': 4401,
  'unknown-topic': 4404,
  'too-slow': 4408,
  'sequence-expired': 4410,
  'internal-error': 4500,
  unavailable: 4503,
};

/** The last word, as JSON: short enough for the reason of a WebSocket's close, which holds 123 bytes. */
export function lastWord(code: ClosingCode, after: number): string {
  return JSON.stringify({ code, after });
}
