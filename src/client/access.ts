import type { Answer, Body, CallOptions, Query } from './connection.ts';
import { type List, listOf } from './list.ts';
import { Resource } from './resource.ts';

export type Key = Answer<'GET /v1/keys'>['items'][number];
export type NewKey = Answer<'POST /v1/keys'>;
export type HubSecret = Answer<'GET /v1/hub-secrets'>['items'][number];

/** Keys: `hub.keys`. */
export class Keys extends Resource {
  /** The key itself is in the answer, and nowhere after that: so it is not repeated by itself. */
  create(key: Body<'POST /v1/keys'>, { signal }: CallOptions = {}): Promise<NewKey> {
    return this.connection.call('POST /v1/keys', { body: key, signal });
  }

  list(query: Omit<Query<'GET /v1/keys'>, 'cursor'> & CallOptions = {}): List<Key> {
    return listOf(this.connection, 'GET /v1/keys', {}, query);
  }

  /** Within 10 s it is good for nothing, anywhere. */
  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.connection.call('DELETE /v1/keys/{name}', { params: { name }, signal });
  }
}

/** Tokens for browsers: `hub.tokens`. Read-only, and short-lived. */
export class Tokens extends Resource {
  create(token: Body<'POST /v1/tokens'>, { signal }: CallOptions = {}): Promise<Answer<'POST /v1/tokens'>> {
    return this.connection.call('POST /v1/tokens', { body: token, repeatable: true, signal });
  }
}

/** The secrets that seal what the hub keeps: `hub.hubSecrets`. */
export class HubSecrets extends Resource {
  /** Which there are, and what depends on each. */
  async list({ signal }: CallOptions = {}): Promise<HubSecret[]> {
    const { items } = await this.connection.call('GET /v1/hub-secrets', { signal });
    return items;
  }

  /** Seals a part of what is sealed with an older one anew: go on with `next` until it is null. */
  reseal(
    query: Query<'POST /v1/hub-secrets/reseal'> = {},
    { signal }: CallOptions = {},
  ): Promise<Answer<'POST /v1/hub-secrets/reseal'>> {
    return this.connection.call('POST /v1/hub-secrets/reseal', { query, repeatable: true, signal });
  }
}
