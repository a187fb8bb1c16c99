import type { StoredEvent } from '../events/stored.ts';
import { Reject } from './results.ts';

/** What a consumer behind a queue asks its hub for: events too large for a message, and to believe what it says. */

export interface HubAccess {
  /** Where the hub is: `https://hub.example.com`. Through a service binding any host will do. */
  url: string;
  /** Of the hub, with `subscriptions:` for its subscription and `read:` for the topics. */
  key: string;
  /** In place of the platform's: that of a service binding to the hub. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

export interface Settled {
  ackId: string;
  ok: boolean;
  code?: string;
}

/** A call that fails is repeated after each of these. */
const RETRIES_MS = [100, 1_000];

export class HubLink {
  readonly #access: HubAccess;

  constructor(access: HubAccess) {
    this.#access = access;
  }

  /**
   * The event behind a claim check.
   *
   * @throws Reject where the topic has it no more
   */
  async event(topic: string, sequence: number): Promise<StoredEvent> {
    const response = await this.#ask('GET', `/v1/topics/${topic}/events/${sequence}`);
    if (response.status === 404 || response.status === 410) {
      throw new Reject(`The topic ${topic} has no event ${sequence} any more.`);
    }
    return answered(response);
  }

  /** Confirms deliveries or takes them back; {@link Settled} for each. @throws if the hub can't be reached or refuses */
  async settle(subscription: string, how: 'ack' | 'nack', body: object): Promise<Settled[]> {
    const response = await this.#ask('POST', `/v1/subscriptions/${subscription}/${how}`, JSON.stringify(body));
    const { results } = await answered<{ results: Settled[] }>(response);
    return results;
  }

  /** Asks again where the hub, or the way to it, may be better in a moment. */
  async #ask(method: string, path: string, body?: string): Promise<Response> {
    for (const wait of RETRIES_MS) {
      const response = await this.#once(method, path, body).catch(() => null);
      if (response !== null && response.status < 500) return response;
      await response?.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    return this.#once(method, path, body);
  }

  #once(method: string, path: string, body?: string): Promise<Response> {
    const { url, key, fetch = globalThis.fetch } = this.#access;
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const headers = { authorization: `Bearer ${key}`, ...type };
    // Not followed: the key would go to wherever it leads.
    return fetch(url + path, { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) });
  }
}

/** @throws with what the hub says, for all that is no success */
async function answered<T>(response: Response): Promise<T> {
  if (!response.ok) throw new Error(`The hub answered ${response.status}: ${await response.text()}`);
  return response.json();
}
