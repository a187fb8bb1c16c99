import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Quota } from '../quotas/protocol.ts';
import {
  adminMaker,
  type KeyClaims,
  type SigningKey,
  sameBytes,
  signingKeys,
  type TokenClaims,
  verifyKey,
  verifyToken,
} from './key-tokens.ts';
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
  /** Came with a token of the key's, not with the key itself. */
  byToken: boolean;
  /** Milliseconds since the epoch; null: never. */
  expiresAt: number | null;
}

/** Who asks without a key, where none is needed. */
export const ANYONE: Caller = {
  id: 'anyone',
  name: 'anyone',
  scopes: [],
  quota: null,
  byToken: false,
  expiresAt: null,
};
const ADMIN: Caller = { ...ANYONE, id: 'admin', name: 'admin', scopes: ['admin'] };

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
  /** What the admin key is called in tokens, by each key that may have signed one. */
  readonly #adminMakers: string[];
  readonly #tokens = new Map<string, TokenClaims>();

  constructor(adminKey: string, keys: SigningKey[]) {
    this.#adminHash = sha256(utf8ToBytes(adminKey));
    this.#keys = keys;
    this.#adminMakers = keys.map((key) => adminMaker(adminKey, key));
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
    const byToken = await this.authenticateToken(token, ports);
    if (byToken.outcome !== 'bad-key') return byToken;
    const claims = this.#verify(token);
    if (claims === null) {
      return this.#isAdmin(token) ? { outcome: 'known', caller: ADMIN } : { outcome: 'bad-key' };
    }
    return this.#ifStill({ ...claims, byToken: false }, ports);
  }

  /** A token, and nothing else: a key does not belong where tokens may be. */
  async authenticateToken(token: string, ports: RevocationPorts): Promise<Authentication> {
    const claims = remembered(this.#tokens, token, () => verifyToken(token, this.#keys));
    if (claims === null) return { outcome: 'bad-key' };
    const { maker, name, scopes, expiresAt } = claims;
    const byAdmin = maker.startsWith('admin.');
    if (byAdmin && !this.#adminMakers.includes(maker)) return { outcome: 'revoked-key' };
    const id = byAdmin ? ADMIN.id : maker;
    return this.#ifStill({ id, name, scopes, expiresAt, quota: null, byToken: true }, ports);
  }

  /** What ends a caller's access by now; null: nothing. Never throws: if D1 is away, what is known stands. */
  async endOf(caller: Caller, ports: RevocationPorts): Promise<'expired-key' | 'revoked-key' | null> {
    if (caller.expiresAt !== null && caller.expiresAt <= ports.now()) return 'expired-key';
    if (caller.id === ADMIN.id) return null;
    return (await this.revocations.isRevoked(caller.id, ports)) ? 'revoked-key' : null;
  }

  /** Who makes a token, as the token says it. */
  makerOf({ id }: Caller): string {
    return id === ADMIN.id ? (this.#adminMakers[0] ?? '') : id;
  }

  async #ifStill(caller: Caller, ports: RevocationPorts): Promise<Authentication> {
    const outcome = await this.endOf(caller, ports);
    return outcome === null ? { outcome: 'known', caller } : { outcome };
  }

  #isAdmin(token: string): boolean {
    if (this.#admin.has(token)) return true;
    // Hashes have one length: comparing them tells neither the key's length nor where the difference is.
    const isAdmin = sameBytes(sha256(utf8ToBytes(token)), this.#adminHash);
    if (isAdmin) this.#admin.add(token);
    return isAdmin;
  }

  #verify(token: string): KeyClaims | null {
    return remembered(this.#verified, token, () => verifyKey(token, this.#keys));
  }
}

/** What `find` finds; what it did not find is not remembered. */
function remembered<T>(known: Map<string, T>, token: string, find: () => T | null): T | null {
  const before = known.get(token);
  if (before !== undefined) return before;
  const found = find();
  if (found === null) return null;
  if (known.size >= VERIFIED_MAX) known.clear();
  known.set(token, found);
  return found;
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
