import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from '../base64.ts';
import { hubSecrets, SIGNING } from '../hub-secret.ts';
import type { Quota } from '../quotas/protocol.ts';

/*
 * A key is `mr_` + base64url(JSON [id, name, scopes, expiresAt]) + `.` + base64url(HMAC-SHA256 of that). It says itself
 * what it may do, so checking one asks nobody; only a revocation, by id, has to be known. One with a quota says that too,
 * as a fifth: [count, spanMs].
 */

/** What a key says of itself. */
export interface KeyClaims {
  /** 96 random bits, base64url: a key made again under the same name is another key. */
  id: string;
  name: string;
  scopes: string[];
  /** Milliseconds since the epoch; null: never. */
  expiresAt: number | null;
  /** Of events published; null: none. */
  quota: Quota | null;
}

const PREFIX = 'mr_';
/** Longer than any key the hub makes. */
const TOKEN_MAX_CHARACTERS = 16 * 1024;
const ADMIN_MAKER_BYTES = 12;

/** What signs and verifies keys. */
export interface SigningKey {
  /** Of the hub secret it is derived from. */
  id: string;
  key: Uint8Array;
}

/** From HUB_SECRET: the first signs, all verify. Null if it is malformed. */
export function signingKeys(hubSecret: string): SigningKey[] | null {
  return hubSecrets(hubSecret)?.map(({ id, keyFor }) => ({ id, key: keyFor(SIGNING) })) ?? null;
}

export function signKey(claims: KeyClaims, [first]: readonly SigningKey[]): string {
  if (first === undefined) throw new Error('There is no key to sign with.');
  const { id, name, scopes, expiresAt, quota } = claims;
  const said = [id, name, scopes, expiresAt, ...(quota === null ? [] : [[quota.count, quota.spanMs]])];
  const payload = toBase64Url(utf8ToBytes(JSON.stringify(said)));
  return `${PREFIX}${payload}.${toBase64Url(hmac(sha256, first.key, utf8ToBytes(payload)))}`;
}

/** The claims of a key that one of `keys` signed; null for anything else. Expiry and revocation are the caller's to check. */
export function verifyKey(token: string, keys: readonly SigningKey[]): KeyClaims | null {
  if (!token.startsWith(PREFIX) || token.length > TOKEN_MAX_CHARACTERS) return null;
  const [payload = '', mac = '', ...rest] = token.slice(PREFIX.length).split('.');
  if (rest.length > 0) return null;
  return isSigned(payload, mac, keys) ? claimsOf(jsonOf(payload)) : null;
}

/** What was signed here was written here; the check is for a later version's format, after a roll-back. */
function claimsOf(payload: unknown): KeyClaims | null {
  if (!Array.isArray(payload)) return null;
  const [id, name, scopes, expiresAt, quota]: unknown[] = payload;
  if (typeof id !== 'string' || typeof name !== 'string' || !isStrings(scopes)) return null;
  if (expiresAt !== null && typeof expiresAt !== 'number') return null;
  if (quota === undefined) return { id, name, scopes, expiresAt, quota: null };
  if (!isNumbers(quota)) return null;
  const [count, spanMs] = quota;
  return count === undefined || spanMs === undefined ? null : { id, name, scopes, expiresAt, quota: { count, spanMs } };
}

/*
 * A token is `mt_` + base64url(JSON [maker, name, scopes, expiresAt]) + `.` + base64url(HMAC-SHA256 of all before the dot).
 * It carries its maker's id, so that it dies with that key. What is signed begins with `mt_`, which no key's payload does:
 * neither can be taken for the other.
 */

/** What a token says of itself. */
export interface TokenClaims {
  /** The id of the key that made it, or {@link adminMaker}. */
  maker: string;
  /** The maker's name. */
  name: string;
  scopes: string[];
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

const TOKEN_PREFIX = 'mt_';

export function signToken({ maker, name, scopes, expiresAt }: TokenClaims, [first]: readonly SigningKey[]): string {
  if (first === undefined) throw new Error('There is no key to sign with.');
  const said = `${TOKEN_PREFIX}${toBase64Url(utf8ToBytes(JSON.stringify([maker, name, scopes, expiresAt])))}`;
  return `${said}.${toBase64Url(hmac(sha256, first.key, utf8ToBytes(said)))}`;
}

/** The claims of a token that one of `keys` signed; null for anything else. Expiry and revocation are the caller's to check. */
export function verifyToken(token: string, keys: readonly SigningKey[]): TokenClaims | null {
  if (!token.startsWith(TOKEN_PREFIX) || token.length > TOKEN_MAX_CHARACTERS) return null;
  const [said = '', mac = '', ...rest] = token.split('.');
  if (rest.length > 0 || !isSigned(said, mac, keys)) return null;
  const payload = jsonOf(said.slice(TOKEN_PREFIX.length));
  if (!Array.isArray(payload)) return null;
  const [maker, name, scopes, expiresAt]: unknown[] = payload;
  if (typeof maker !== 'string' || typeof name !== 'string' || !isStrings(scopes)) return null;
  return typeof expiresAt === 'number' ? { maker, name, scopes, expiresAt } : null;
}

/**
 * Stands for the admin key in what it makes: another admin key is another maker. Nobody without HUB_SECRET can try out admin
 * keys on it.
 */
export function adminMaker(adminKey: string, { key }: SigningKey): string {
  return `admin.${toBase64Url(hmac(sha256, key, utf8ToBytes(`admin key ${adminKey}`)).subarray(0, ADMIN_MAKER_BYTES))}`;
}

function isSigned(message: string, mac: string, keys: readonly SigningKey[]): boolean {
  const given = fromBase64Url(mac);
  if (given === null) return false;
  const bytes = utf8ToBytes(message);
  return keys.some(({ key }) => sameBytes(hmac(sha256, key, bytes), given));
}

function jsonOf(base64Url: string): unknown {
  const bytes = fromBase64Url(base64Url);
  return bytes === null ? null : JSON.parse(new TextDecoder().decode(bytes));
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

/** Takes the same time wherever the difference is. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index += 1) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function fromBase64Url(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null;
  return fromBase64(text.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat((4 - (text.length % 4)) % 4));
}
