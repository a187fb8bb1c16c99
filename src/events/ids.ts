import { Message } from './sha256.ts';

/** Characters of base32 in an id: 130 bits of the hash. */
const ID_CHARACTERS = 26;
const ID_BYTES = Math.ceil((ID_CHARACTERS * 5) / 8);
const UUID_BYTES = 16;

/** What is being hashed. One will do, as nothing is awaited while it is written. */
const message = new Message();

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * `webhook-id`: the same for an event and subscription over every attempt, replay and redrive. Of a batch, the same as long as
 * it has the same events.
 */
export function messageId(subscription: string, topic: string, ...sequences: number[]): string {
  return `msg_${deliveryHash(subscription, topic, ...sequences)}`;
}

/** A dead letter's id in D1. */
export function deadLetterId(subscription: string, topic: string, sequence: number): string {
  return `dl_${deliveryHash(subscription, topic, sequence)}`;
}

function deliveryHash(subscription: string, topic: string, ...sequences: number[]): string {
  return base32(hashOf([subscription, topic, ...sequences], ID_BYTES)).slice(0, ID_CHARACTERS);
}

const UUID_RANDOM_BYTES = 10;

/**
 * A UUIDv7 (RFC 9562): sorts by `now` (milliseconds since the epoch). `random` are at least 10 bytes. `counter` (0 to 4095)
 * takes the place of the first 12 random bits, so that the ids of one request sort in its order.
 */
export function uuidv7(now: number, random: Uint8Array, counter?: number): string {
  if (random.length < UUID_RANDOM_BYTES) throw new RangeError('uuidv7 needs 10 random bytes');
  const bytes = new Uint8Array(UUID_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(now / 2 ** 32));
  view.setUint32(2, now % 2 ** 32);
  for (let at = 0; at < UUID_RANDOM_BYTES; at++) bytes[6 + at] = random[at] ?? 0;
  if (counter !== undefined) view.setUint16(6, counter & 0x0fff);
  return formatUuid(bytes, 7);
}

/** Chance for so many ids is asked for at a time, once the first was not the only one: each call of it costs as much. */
const IDS_AT_A_TIME = 64;

/** Makes the id of the event at an index of one request: UUIDv7s of the time `now` that sort in its order. */
export function uuidMaker(now: number, random: (bytes: number) => Uint8Array): (index: number) => string {
  let chance: Uint8Array = new Uint8Array(0);
  let used = 0;
  return (index) => {
    if (used === chance.length) {
      chance = random(chance.length === 0 ? UUID_RANDOM_BYTES : UUID_RANDOM_BYTES * IDS_AT_A_TIME);
      used = 0;
    }
    used += UUID_RANDOM_BYTES;
    return uuidv7(now, chance.subarray(used - UUID_RANDOM_BYTES, used), index);
  };
}

/**
 * The id of the event number `index` in a request with an Idempotency-Key: the same caller, key and index always give the
 * same id, so that a retry finds its own events. A UUIDv8, which is what RFC 9562 keeps for hashes of one's own.
 */
export function derivedId(caller: string, key: string, index: number): string {
  return formatUuid(hashOf(['millrace idempotency key', caller, key, index], UUID_BYTES), 8);
}

/** RFC 4648 base32 in lower case without padding. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((buffer >>> bits) & 31);
    }
    buffer &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + BASE32.charAt((buffer << (5 - bits)) & 31);
}

/** So many bytes of a hash, 32 at most. A JSON array keeps its parts apart, whatever characters are in them. */
function hashOf(parts: (string | number)[], bytes: number): Uint8Array {
  const hash = new Uint8Array(bytes);
  message.begin();
  message.add(JSON.stringify(parts));
  message.finish(hash, 0, bytes);
  return hash;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Before which bytes of a UUID there is a hyphen. */
const HYPHENS: ReadonlySet<number> = new Set([4, 6, 8, 10]);

/** Sets version and variant in `bytes` (16 of them) and writes them out. */
function formatUuid(bytes: Uint8Array, version: 7 | 8): string {
  bytes[6] = (version << 4) | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  let text = '';
  for (let index = 0; index < 16; index++) {
    if (HYPHENS.has(index)) text += '-';
    text += HEX[bytes[index] ?? 0];
  }
  return text;
}
