import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Quota } from '../quotas/protocol.ts';
import { type KeyClaims, type SigningKey, sameBytes, signingKeys, verifyKey } from './key-tokens.ts';
import { type RevocationPorts, Revocations } from './revocations.ts';

/** Who is asking. */
export interface Caller {
  /** A key's id: what is remembered of a caller is remembered under this. */
  id: string;
  /** For people: in the audit and in messages. */
  name: string;
  scopes: readonly string[];
  /** Of events published; null: none. */
  quota: Quota | null;
}

/** Who asks without a key, where none is needed. */
export const ANYONE: Caller = { id: 'anyone', name: 'anyone', scopes: [], quota: null };
const ADMIN: Caller = { id: 'admin', name: 'admin', scopes: ['admin'], quota: null };

export type Authentication =
  | { outcome: 'known'; caller: Caller }
  | { outcome: 'no-key' | 'bad-key' | 'expired-key' | 'revoked-key' };

export interface AccessPorts extends RevocationPorts {
  adminKey: string | undefined;
  hubSecret: string | undefined;
}

/** Verified keys remembered by an isolate. */
const VERIFIED_MAX = 1_000;

/** Knows callers by their keys, under one pair of Worker secrets. */
export class Access {
  readonly revocations = new Revocations();
  readonly #adminHash: Uint8Array;
  readonly #keys: SigningKey[];
  readonly #verified = new Map<string, KeyClaims>();
  /** The admin key, once somebody has sent it. */
  readonly #admin = new Set<string>();

  constructor(adminKey: string, keys: SigningKey[]) {
    this.#adminHash = sha256(utf8ToBytes(adminKey));
    this.#keys = keys;
  }

  /** The first signs new keys. */
  get signingKeys(): readonly SigningKey[] {
    return this.#keys;
  }

  /** @param authorization the header's value */
  async authenticate(authorization: string | null, ports: RevocationPorts): Promise<Authentication> {
    // Whoever has no key can send this: the pattern must not go back and forth over a long run of spaces.
    const token = /^Bearer +(\S.*)$/i.exec(authorization?.trimEnd() ?? '')?.[1];
    if (token === undefined) return { outcome: 'no-key' };
    const claims = this.#verify(token);
    if (claims === null) {
      return this.#isAdmin(token) ? { outcome: 'known', caller: ADMIN } : { outcome: 'bad-key' };
    }
    if (claims.expiresAt !== null && claims.expiresAt <= ports.now()) return { outcome: 'expired-key' };
    if (await this.revocations.isRevoked(claims.id, ports)) return { outcome: 'revoked-key' };
    const { id, name, scopes, quota } = claims;
    return { outcome: 'known', caller: { id, name, scopes, quota } };
  }

  #isAdmin(token: string): boolean {
    if (this.#admin.has(token)) return true;
    // Hashes have one length: comparing them tells neither the key's length nor where the difference is.
    const isAdmin = sameBytes(sha256(utf8ToBytes(token)), this.#adminHash);
    if (isAdmin) this.#admin.add(token);
    return isAdmin;
  }

  #verify(token: string): KeyClaims | null {
    const known = this.#verified.get(token);
    if (known !== undefined) return known;
    const claims = verifyKey(token, this.#keys);
    if (claims === null) return null;
    if (this.#verified.size >= VERIFIED_MAX) this.#verified.clear();
    this.#verified.set(token, claims);
    return claims;
  }
}

let current: { adminKey: string; hubSecret: string; access: Access } | null = null;

/** The isolate's {@link Access}, made anew only when a secret is another; or which secret is missing or malformed. */
export function accessOf({ adminKey, hubSecret }: AccessPorts): Access | { missing: 'ADMIN_KEY' | 'HUB_SECRET' } {
  if (adminKey === undefined || adminKey === '') return { missing: 'ADMIN_KEY' };
  if (hubSecret === undefined || hubSecret === '') return { missing: 'HUB_SECRET' };
  if (current?.adminKey === adminKey && current.hubSecret === hubSecret) return current.access;
  const keys = signingKeys(hubSecret);
  if (keys === null) return { missing: 'HUB_SECRET' };
  current = { adminKey, hubSecret, access: new Access(adminKey, keys) };
  return current.access;
}
