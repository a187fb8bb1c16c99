import type { StoredEvent } from '../events/stored.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { MillraceError } from './errors.ts';
import { Reject } from './results.ts';
import type { Settled, Settlement } from './settling.ts';

/** What a consumer behind a queue asks its hub for: events too large for a message, and to believe what it says. */

export interface HubAccess {
  /** Where the hub is: `https://hub.example.com`. Through a service binding any host will do. */
  url: string;
  /** Of the hub, with `subscriptions:` for its subscription and `read:` for the topics. */
  key: string;
  /** In place of the platform's: that of a service binding to the hub. */
  fetch?: NonNullable<ConnectionOptions['fetch']>;
}

/** A try waits for its answer, milliseconds: less than elsewhere, as all messages of a batch wait with it. */
export const ANSWER_TIMEOUT_MS = 5_000;
/**
 * Less than a second where the hub refuses, some 15 where it says nothing: what can't be had by then comes again with its
 * message.
 */
const RETRY = { retries: 2, firstMs: 200, maxMs: 1_000 };

/** That a topic has no such event, now or ever again. */
const GONE: readonly string[] = ['unknown-topic', 'unknown-event', 'sequence-expired'];

export class HubLink {
  readonly #access: HubAccess;
  #made: Connection | null = null;

  constructor(access: HubAccess) {
    this.#access = access;
  }

  /**
   * The event behind a claim check.
   *
   * @throws Reject where the topic has it no more, MillraceError
   */
  async event(topic: string, sequence: number): Promise<StoredEvent> {
    const params = { topic, sequence };
    try {
      return await this.#connection.call('GET /v1/topics/{topic}/events/{sequence}', { params });
    } catch (error) {
      if (!(error instanceof MillraceError) || !GONE.includes(error.code)) throw error;
      throw new Reject(`The topic ${topic} has no event ${sequence} any more.`);
    }
  }

  /** Confirms deliveries or takes them back; {@link Settled} for each. @throws MillraceError */
  async settle(name: string, ackIds: readonly string[], { how, ...said }: Settlement): Promise<Settled[]> {
    const { results } = await this.#connection.call(`POST /v1/subscriptions/{name}/${how}`, {
      params: { name },
      body: { ackIds, ...said },
      repeatable: true,
    });
    return results;
  }

  /** Made when it is needed: most messages ask nothing of the hub, whatever its address is. */
  get #connection(): Connection {
    this.#made ??= new Connection({ ...this.#access, retry: RETRY, timeoutMs: ANSWER_TIMEOUT_MS });
    return this.#made;
  }
}
