import type { Answer, Body, CallOptions, Query } from './connection.ts';
import { type List, listOf } from './list.ts';
import { Resource } from './resource.ts';

export type Replay = Answer<'GET /v1/replays/{id}'>;
export type ReplayRequest = Body<'POST /v1/topics/{topic}/replays'>;
export type DeadLetter = Answer<'GET /v1/dead-letters/{id}'>;
export type DeadLetterJob = Answer<'POST /v1/dead-letters/redrive'>;

/** Replays: `hub.replays`. */
export class Replays extends Resource {
  /** Delivers a range of a topic to a subscription again, beside what is live. Not repeated by itself: each call is a replay. */
  start(topic: string, replay: ReplayRequest, { signal }: CallOptions = {}): Promise<Replay> {
    return this.connection.call('POST /v1/topics/{topic}/replays', { params: { topic }, body: replay, signal });
  }

  /** Newest first. */
  list(query: Omit<Query<'GET /v1/replays'>, 'cursor'> & CallOptions = {}): List<Replay> {
    return listOf(this.connection, 'GET /v1/replays', {}, query);
  }

  get(id: string, { signal }: CallOptions = {}): Promise<Replay> {
    return this.connection.call('GET /v1/replays/{id}', { params: { id }, signal });
  }

  /** Changes its rate. */
  put(id: string, change: Body<'PUT /v1/replays/{id}'>, { signal }: CallOptions = {}): Promise<Replay> {
    return this.connection.call('PUT /v1/replays/{id}', { params: { id }, body: change, signal });
  }

  async cancel(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.connection.call('DELETE /v1/replays/{id}', { params: { id }, signal });
  }
}

/** Deliveries that were given up on: `hub.deadLetters`. */
export class DeadLetters extends Resource {
  /** Newest first; those that are open, if nothing else is asked for. */
  list(query: Omit<Query<'GET /v1/dead-letters'>, 'cursor'> & CallOptions = {}): List<DeadLetter> {
    return listOf(this.connection, 'GET /v1/dead-letters', {}, query);
  }

  get(id: string, { signal }: CallOptions = {}): Promise<DeadLetter> {
    return this.connection.call('GET /v1/dead-letters/{id}', { params: { id }, signal });
  }

  /** Sends it again: its schedule starts afresh. */
  redrive(id: string, { signal }: CallOptions = {}): Promise<Answer<'POST /v1/dead-letters/{id}/redrive'>> {
    return this.connection.call('POST /v1/dead-letters/{id}/redrive', { params: { id }, repeatable: true, signal });
  }

  /** Sends all again that a filter finds; it has to say something. */
  redriveAll(filter: Body<'POST /v1/dead-letters/redrive'>, { signal }: CallOptions = {}): Promise<DeadLetterJob> {
    return this.connection.call('POST /v1/dead-letters/redrive', { body: filter, repeatable: true, signal });
  }

  async discard(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.connection.call('DELETE /v1/dead-letters/{id}', { params: { id }, signal });
  }

  /** Discards all that a filter finds; it has to say something. */
  discardAll(filter: Query<'DELETE /v1/dead-letters'>, { signal }: CallOptions = {}): Promise<DeadLetterJob> {
    return this.connection.call('DELETE /v1/dead-letters', { query: filter, signal });
  }
}
