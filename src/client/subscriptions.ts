import {
  type Answer,
  type Body,
  type CallOptions,
  guarded,
  type PutOptions,
  type Query,
  type Tagged,
} from './connection.ts';
import { type List, listOf } from './list.ts';
import { Resource } from './resource.ts';

/** A subscription's configuration, its status and its counts. */
export type Subscription = Tagged<'GET /v1/subscriptions/{name}'>;
/** What a subscription is made of; all but `topics` and `delivery` has a default. */
export type SubscriptionConfig = Body<'PUT /v1/subscriptions/{name}'>;
export type SubscriptionTopic = Answer<'GET /v1/subscriptions/{name}/topics'>['items'][number];
export type Attempt = Answer<'GET /v1/subscriptions/{name}/attempts'>['items'][number];
export type AlertConfig = Body<'PUT /v1/alerts/{name}'>;

/** Subscriptions: `hub.subscriptions`. */
export class Subscriptions extends Resource {
  list(query: Omit<Query<'GET /v1/subscriptions'>, 'cursor'> & CallOptions = {}): List<Omit<Subscription, 'etag'>> {
    return listOf(this.connection, 'GET /v1/subscriptions', {}, query);
  }

  get(name: string, { signal }: CallOptions = {}): Promise<Subscription> {
    return this.connection.tagged('GET /v1/subscriptions/{name}', { params: { name }, signal });
  }

  /**
   * Makes a subscription, or replaces its configuration. Every event published after it resolves is delivered. A secret that the
   * hub makes is in the answer, the first time only.
   */
  put(name: string, config: SubscriptionConfig, options: PutOptions = {}): Promise<Subscription> {
    return this.connection.tagged('PUT /v1/subscriptions/{name}', {
      params: { name },
      body: config,
      ...guarded(options),
    });
  }

  /** Makes a subscription to what the hub tells of itself. */
  putAlert(name: string, config: AlertConfig, options: PutOptions = {}): Promise<Subscription> {
    return this.connection.tagged('PUT /v1/alerts/{name}', { params: { name }, body: config, ...guarded(options) });
  }

  /** What is pending is dropped. Its dead letters stay. */
  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.connection.call('DELETE /v1/subscriptions/{name}', { params: { name }, signal });
  }

  /** Where it stands in each of its topics. */
  topics(
    name: string,
    query: Omit<Query<'GET /v1/subscriptions/{name}/topics'>, 'cursor'> & CallOptions = {},
  ): List<SubscriptionTopic> {
    return listOf(this.connection, 'GET /v1/subscriptions/{name}/topics', { name }, query);
  }

  /** Within a second nothing more goes out; it keeps its place. */
  pause(name: string, { signal }: CallOptions = {}): Promise<Subscription> {
    return this.connection.tagged('POST /v1/subscriptions/{name}/pause', {
      params: { name },
      repeatable: true,
      signal,
    });
  }

  /** Enables a disabled one too. */
  resume(name: string, { signal }: CallOptions = {}): Promise<Subscription> {
    return this.connection.tagged('POST /v1/subscriptions/{name}/resume', {
      params: { name },
      repeatable: true,
      signal,
    });
  }

  /** Moves it to another position, also back. What was pending is skipped. */
  seek(
    name: string,
    to: Body<'POST /v1/subscriptions/{name}/seek'>,
    { signal }: CallOptions = {},
  ): Promise<Answer<'POST /v1/subscriptions/{name}/seek'>> {
    return this.connection.call('POST /v1/subscriptions/{name}/seek', { params: { name }, body: to, signal });
  }

  /** Sends a `millrace.test` event, and tells what came of it. Refused where events are pulled. */
  test(name: string, { signal }: CallOptions = {}): Promise<Answer<'POST /v1/subscriptions/{name}/test'>> {
    return this.connection.call('POST /v1/subscriptions/{name}/test', { params: { name }, signal });
  }

  /** The request that would go out for an event, or what its consumer would be handed; unsent. */
  preview(
    name: string,
    of: Body<'POST /v1/subscriptions/{name}/preview'>,
    { signal }: CallOptions = {},
  ): Promise<Answer<'POST /v1/subscriptions/{name}/preview'>> {
    const sent = { params: { name }, body: of, repeatable: true, signal };
    return this.connection.call('POST /v1/subscriptions/{name}/preview', sent);
  }

  secret(name: string, { signal }: CallOptions = {}): Promise<Answer<'GET /v1/subscriptions/{name}/secret'>> {
    return this.connection.call('GET /v1/subscriptions/{name}/secret', { params: { name }, signal });
  }

  /** Makes a new secret. During the overlap webhooks carry both signatures. */
  rotateSecret(
    name: string,
    how: Body<'POST /v1/subscriptions/{name}/rotate-secret'> = {},
    { signal }: CallOptions = {},
  ): Promise<Answer<'POST /v1/subscriptions/{name}/rotate-secret'>> {
    return this.connection.call('POST /v1/subscriptions/{name}/rotate-secret', {
      params: { name },
      body: how,
      signal,
    });
  }

  /** The latest attempts, newest first. */
  attempts(
    name: string,
    query: Omit<Query<'GET /v1/subscriptions/{name}/attempts'>, 'cursor'> & CallOptions = {},
  ): List<Attempt> {
    return listOf(this.connection, 'GET /v1/subscriptions/{name}/attempts', { name }, query);
  }
}
