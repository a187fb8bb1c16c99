/**
 * Names of deliveries that are held by who has to settle them: which lane and sequence, and the token of the claim under
 * which it was handed out. The token is what nobody can guess; a sequence that is handed out again has another.
 */
export interface AckId {
  lane: number;
  sequence: number;
  token: string;
}

/** Bytes of a claim's token. */
export const TOKEN_BYTES = 16;

const PATTERN = /^([1-9]\d{0,15})-([1-9]\d{0,15})-([0-9a-f]{32})$/;

export function ackIdOf({ lane, sequence, token }: AckId): string {
  return `${lane}-${sequence}-${token}`;
}

/** Null: it is none that was ever given out. */
export function parseAckId(ackId: string): AckId | null {
  const [, lane, sequence, token] = PATTERN.exec(ackId) ?? [];
  return token === undefined ? null : { lane: Number(lane), sequence: Number(sequence), token };
}

/** In a time that tells nothing of where they differ. */
export function isSameToken(a: string, b: string | null): boolean {
  if (b === null || a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
