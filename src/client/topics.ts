import type { Answer, Body, CallOptions, Connection, Query } from './connection.ts';
import { type List, listOf } from './list.ts';

export type Topic = Answer<'GET /v1/topics/{topic}'>;
export type TopicConfig = Body<'PUT /v1/topics/{topic}'>;

/** Topics: `hub.topics`. A topic that is published to need not be made first. */
export class Topics {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** By name: those that the key may read. */
  list(query: Omit<Query<'GET /v1/topics'>, 'cursor'> & CallOptions = {}): List<Topic> {
    return listOf(this.#connection, 'GET /v1/topics', {}, query);
  }

  get(topic: string, { signal }: CallOptions = {}): Promise<Topic> {
    return this.#connection.call('GET /v1/topics/{topic}', { params: { topic }, signal });
  }

  /** Makes a topic, or replaces its configuration: what is left out goes back to its default. */
  put(topic: string, config: TopicConfig = {}, { signal }: CallOptions = {}): Promise<Topic> {
    return this.#connection.call('PUT /v1/topics/{topic}', { params: { topic }, body: config, signal });
  }

  /** @param options.force also where a subscription names it: what is pending becomes dead letters. */
  async delete(
    topic: string,
    { signal, ...query }: Query<'DELETE /v1/topics/{topic}'> & CallOptions = {},
  ): Promise<void> {
    await this.#connection.call('DELETE /v1/topics/{topic}', { params: { topic }, query, signal });
  }
}
