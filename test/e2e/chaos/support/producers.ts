import type { ApiClient, Receipt, Reply } from '../../../../scripts/hub/api-client.ts';
import type { Publish } from '../../../history/operations.ts';
import { type Made, sent } from './events.ts';
import { POISON } from './receivers.ts';
import type { Recorder } from './recorder.ts';

/** An answer may be lost; then the same is sent again after this. */
const RETRY_AFTER_MS = 100;
/** A frozen hub says nothing at all: its producer tries again while the first call still hangs. */
const ANSWER_WITHIN_MS = 4_000;
const BATCH_MAX = 5;
/** Of each producer's events. */
const KEYS = 4;
const TYPES = ['order.created', 'order.paid', 'mail.sent'];
const POISON_CHANCE = 0.02;
const REPEAT_CHANCE = 0.05;

export interface Style {
  name: string;
  topic: string;
  /** Sends batches; else single events. */
  batches: boolean;
  /** Sends only if it knows the topic's last event. */
  conditional: boolean;
  restMs: number;
}

/** One producer: one publish after the other, in its own order; what is not answered goes out again, with the same ids. */
export class Producer {
  readonly #style: Style;
  readonly #api: ApiClient;
  readonly #recorder: Recorder;
  readonly #old: Made[][] = [];
  #count = 0;
  #last = 0;
  #stopping = false;

  constructor(style: Style, api: ApiClient, recorder: Recorder) {
    this.#style = style;
    this.#api = api;
    this.#recorder = recorder;
  }

  /** Until `stop`; the last publish is brought to its end. */
  async run(): Promise<void> {
    while (!this.#stopping) {
      await this.#publish(this.#next());
      await delay(this.#style.restMs * (0.5 + Math.random()));
    }
  }

  stop(): void {
    this.#stopping = true;
  }

  #next(): Made[] {
    const old = this.#old[Math.floor(Math.random() * this.#old.length)];
    if (old !== undefined && Math.random() < REPEAT_CHANCE) return old;
    const count = this.#style.batches ? 1 + Math.floor(Math.random() * BATCH_MAX) : 1;
    const events = Array.from({ length: count }, () => this.#event());
    this.#old.push(events);
    return events;
  }

  #event(): Made {
    this.#count += 1;
    const poisoned = !this.#style.conditional && Math.random() < POISON_CHANCE;
    const type = poisoned ? POISON : (TYPES[this.#count % TYPES.length] ?? POISON);
    return makeEvent(this.#style.name, this.#count, type);
  }

  async #publish(events: Made[]): Promise<void> {
    const { topic, conditional } = this.#style;
    const receipts = await publishUntilTaken(this.#api, this.#recorder, topic, events, conditional ? this.#last : null);
    this.#last = Math.max(this.#last, ...receipts.map(({ sequence }) => sequence));
  }
}

/**
 * Publishes again and again, with the same ids, until it is acknowledged.
 *
 * @param expected the last sequence it expects, corrected by each refusal; null: none.
 */
export async function publishUntilTaken(
  api: ApiClient,
  recorder: Recorder,
  topic: string,
  events: Made[],
  expected: number | null,
): Promise<Publish['receipts']> {
  for (let last = expected; ; ) {
    const { outcome, receipts, refusedAt } = await publish(api, recorder, topic, events, last);
    if (outcome === 'success') return receipts;
    if (outcome === 'failure') last = refusedAt;
    await delay(RETRY_AFTER_MS * Math.random());
  }
}

export function makeEvent(producer: string, number: number, type: string): Made {
  const subject = `${producer}-${number % KEYS}`;
  return { id: String(number), source: `/producers/${producer}`, type, subject, data: { by: producer, number } };
}

/** One publish, written down. @throws if it is refused for any reason but what it expected */
async function publish(
  api: ApiClient,
  recorder: Recorder,
  topic: string,
  events: Made[],
  expected: number | null,
): Promise<Publish> {
  const operation = recorder.add<Publish>({
    kind: 'publish',
    start: recorder.now(),
    end: Number.POSITIVE_INFINITY,
    outcome: 'unknown',
    topic,
    events: events.map(sent),
    expected,
    receipts: [],
    refusedAt: null,
  });
  const reply = await api
    .request('POST', `/v1/topics/${topic}/events`, {
      json: events,
      headers: expected === null ? {} : { 'expected-last-sequence': String(expected) },
      withinMs: ANSWER_WITHIN_MS,
    })
    .catch(() => null);
  // What comes of it may still be under way: an unknown outcome has no end.
  if (reply !== null && reply.status < 500) judge(operation, reply, recorder.now());
  return operation;
}

function judge(operation: Publish, reply: Reply, end: number): void {
  operation.end = end;
  if (reply.status === 200 || reply.status === 201) {
    const answer: { events: Receipt[] } = JSON.parse(reply.text);
    operation.outcome = 'success';
    operation.receipts = answer.events.map(({ sequence, duplicate }) => ({ sequence, duplicate }));
    return;
  }
  const problem: { code: string; lastSequence?: number } = JSON.parse(reply.text);
  if (reply.status !== 412 || problem.lastSequence === undefined) {
    throw new Error(`A publish was refused: ${reply.status} ${reply.text}`);
  }
  operation.outcome = 'failure';
  operation.refusedAt = problem.lastSequence;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
