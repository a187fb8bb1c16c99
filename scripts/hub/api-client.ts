import type { Receipts, Routes, Topic } from '../../src/client/wire.ts';
import type { StoredEvent } from '../../src/events/stored.ts';

/** A small client of the HTTP interface for the demo and the tests: what they call, and no more. */

const WITHIN_MS = 75_000;

export type Receipt = Receipts['events'][number];
export type Subscription = Routes['GET /v1/subscriptions/{name}']['answer'];
export type Attempt = Routes['GET /v1/subscriptions/{name}/attempts']['answer']['items'][number];
export type Replay = Routes['GET /v1/replays/{id}']['answer'];
/** Its event is whole: what the hub stored. */
export type DeadLetter = Routes['GET /v1/dead-letters/{id}']['answer'] & { event: StoredEvent };

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** The secret of a webhook, where the answer has it: that of the making; else null. */
export function secretIn({ delivery }: Subscription): string | null {
  return delivery.kind === 'webhook' ? (delivery.secret ?? null) : null;
}

/** What was answered, whatever the status. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
}

/** A refusal, with the problem document's `code` and `detail`. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(request: string, reply: Reply) {
    const problem: { code?: string; detail?: string } = reply.text.startsWith('{') ? JSON.parse(reply.text) : {};
    super(`${request}: ${reply.status} ${problem.code ?? ''} ${problem.detail ?? reply.text.slice(0, 500)}`);
    this.status = reply.status;
    this.code = problem.code ?? '';
  }
}

export interface RequestOptions {
  /** Sent as JSON, under `content-type: application/json` unless `headers` says otherwise. */
  json?: unknown;
  /** Sent as it is. */
  body?: string;
  headers?: Record<string, string>;
  /** Abandons the call after this time; by default after what the longest waiting read may take. */
  withinMs?: number;
}

export class ApiClient {
  readonly url: string;
  readonly key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.key = key;
  }

  /** Any request; a refusal is an answer like another. @throws if the hub can't be reached. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const body = options.json === undefined ? options.body : JSON.stringify(options.json);
    const response = await fetch(this.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(options.withinMs ?? WITHIN_MS),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** The JSON of a 2xx. @throws ApiError for any other status. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const reply = await this.request(method, path, options);
    if (reply.status < 200 || reply.status > 299) throw new ApiError(`${method} ${path}`, reply);
    return JSON.parse(reply.text === '' ? 'null' : reply.text);
  }

  /** Publishes CloudEvents (or short forms) in one request; several are all taken or none. */
  async publish(topic: string, events: object | object[], options: RequestOptions = {}): Promise<Receipt[]> {
    const path = `/v1/topics/${topic}/events`;
    const answer = await this.json<{ events: Receipt[] }>('POST', path, { json: events, ...options });
    return answer.events;
  }

  putTopic(topic: string, config: object = {}): Promise<Topic> {
    return this.json('PUT', `/v1/topics/${topic}`, { json: config });
  }

  topic(topic: string): Promise<Topic> {
    return this.json('GET', `/v1/topics/${topic}`);
  }

  /** Everything in a topic, page by page. */
  async readAll(topic: string): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    let query = 'from=earliest';
    for (;;) {
      const page = await this.json<{ events: StoredEvent[]; next: number | null }>(
        'GET',
        `/v1/topics/${topic}/events?${query}&limit=1000`,
      );
      events.push(...page.events);
      if (page.next === null) return events;
      query = `after=${page.next}`;
    }
  }

  putSubscription(name: string, document: object): Promise<Subscription> {
    return this.json('PUT', `/v1/subscriptions/${name}`, { json: document });
  }

  subscription(name: string): Promise<Subscription> {
    return this.json('GET', `/v1/subscriptions/${name}`);
  }

  /** Every attempt the hub remembers of a subscription, page by page. */
  attempts(name: string): Promise<Attempt[]> {
    return this.#all(`/v1/subscriptions/${name}/attempts`);
  }

  deadLetters(query: Record<string, string> = {}): Promise<DeadLetter[]> {
    return this.#all('/v1/dead-letters', query);
  }

  redrive(id: string): Promise<{ id: string; status: string }> {
    return this.json('POST', `/v1/dead-letters/${id}/redrive`);
  }

  startReplay(topic: string, request: object): Promise<Replay> {
    return this.json('POST', `/v1/topics/${topic}/replays`, { json: request });
  }

  replay(id: string): Promise<Replay> {
    return this.json('GET', `/v1/replays/${id}`);
  }

  async #all<T>(path: string, query: Record<string, string> = {}): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const parameters = new URLSearchParams({ limit: '1000', ...query, ...(cursor === null ? {} : { cursor }) });
      const page: Page<T> = await this.json('GET', `${path}?${parameters}`);
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== null);
    return items;
  }
}
