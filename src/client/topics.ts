import { type Body, type CallOptions, guarded, type PutOptions, type Query, type Tagged } from './connection.ts';
import { type List, listOf } from './list.ts';
import { Resource } from './resource.ts';

/** A topic's configuration, and what is in it. */
export type Topic = Tagged<'GET /v1/topics/{topic}'>;
export type TopicConfig = Body<'PUT /v1/topics/{topic}'>;

/** Topics: `hub.topics`. A topic that is published to need not be made first. */
export class Topics extends Resource {
  /** By name: those that the key may read. */
  list(query: Omit<Query<'GET /v1/topics'>, 'cursor'> & CallOptions = {}): List<Omit<Topic, 'etag'>> {
    return listOf(this.connection, 'GET /v1/topics', {}, query);
  }

  get(topic: string, { signal }: CallOptions = {}): Promise<Topic> {
    return this.connection.tagged('GET /v1/topics/{topic}', { params: { topic }, signal });
  }

  /** Makes a topic, or replaces its configuration: what is left out goes back to its default. */
  put(topic: string, config: TopicConfig = {}, options: PutOptions = {}): Promise<Topic> {
    return this.connection.tagged('PUT /v1/topics/{topic}', { params: { topic }, body: config, ...guarded(options) });
  }

  /** @param options.force also where a subscription names it: what is pending becomes dead letters. */
  async delete(
    topic: string,
    { signal, ...query }: Query<'DELETE /v1/topics/{topic}'> & CallOptions = {},
  ): Promise<void> {
    await this.connection.call('DELETE /v1/topics/{topic}', { params: { topic }, query, signal });
  }
}
