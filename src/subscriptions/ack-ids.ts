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

/** Names a claim under which something is held: of one lane, under one token. */
export type ClaimId = Pick<AckId, 'lane' | 'token'>;

/**
 * What each of these ids names; null: it is none that was ever given out. Ids of one claim, of which most are sent together,
 * have the very same object for it.
 */
export function readAckIds(ackIds: readonly string[]): ({ claim: ClaimId; sequence: number } | null)[] {
  const claims = new Map<string, ClaimId>();
  let last: { claim: ClaimId; head: string; tail: string } | null = null;
  return ackIds.map((ackId) => {
    if (last !== null) {
      const sequence = sequenceBetween(ackId, last.head, last.tail);
      if (sequence !== null) return { claim: last.claim, sequence };
    }
    const id = parseAckId(ackId);
    if (id === null) return null;
    const { lane, sequence, token } = id;
    const name = `${lane} ${token}`;
    const claim = claims.get(name) ?? { lane, token };
    claims.set(name, claim);
    last = { claim, head: `${lane}-`, tail: `-${token}` };
    return { claim, sequence };
  });
}

const ZERO = 48;
/** Any number with so many digits is one that is exact. */
const DIGITS_MAX = 15;

/** The sequence in an id that begins and ends like another; null: it does not, or is to be looked at as a whole. */
function sequenceBetween(ackId: string, head: string, tail: string): number | null {
  const end = ackId.length - tail.length;
  const digits = end - head.length;
  if (digits < 1 || digits > DIGITS_MAX || !ackId.startsWith(head) || !ackId.endsWith(tail)) return null;
  let sequence = 0;
  for (let at = head.length; at < end; at++) {
    const digit = ackId.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9 || (digit === 0 && sequence === 0)) return null;
    sequence = sequence * 10 + digit;
  }
  return sequence;
}

/** In a time that tells nothing of where they differ. */
export function isSameToken(a: string, b: string | null): boolean {
  if (b === null || a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
