import type { AppendRequest } from '../../src/topics/protocol.ts';
import { receiptsOf } from '../../src/topics/receipts.ts';
import type { Publish } from '../history/operations.ts';
import { packed, type TestEvent } from '../support/new-events.ts';
import type { Party } from './object-host.ts';
import type { Plan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { World } from './world.ts';

export const TYPES = ['shop.order', 'shop.refund', 'mail.sent'];

/** Subjects: few, so that many events share one. */
const KEYS = [null, 'k1', 'k1', 'k1', 'k2'];

/** How often a publish without an answer is sent again before its producer gives it up. */
const RETRIES_MAX = 4;
const BATCH_MAX = 5;

/** An event whose content is its data. */
interface SentEvent extends TestEvent {
  content: string;
}

interface Made {
  topic: string;
  events: SentEvent[];
}

/** One producer: publishes one batch after the other, repeats what may be lost, at times what is not. */
export class Producer {
  readonly #name: string;
  readonly #world: World;
  readonly #plan: Plan;
  readonly #recorder: Recorder;
  readonly #random: SeededRandom;
  readonly #party: Party;
  readonly #sent: Made[] = [];
  readonly #lastSeen = new Map<string, number>();
  #count = 0;

  constructor(name: string, world: World, plan: Plan, recorder: Recorder) {
    this.#name = name;
    this.#world = world;
    this.#plan = plan;
    this.#recorder = recorder;
    this.#random = world.scheduler.random;
    this.#party = world.outsider(name);
  }

  async run(): Promise<void> {
    for (let publish = 0; publish < this.#plan.publishes; publish += 1) {
      await this.#world.scheduler.sleep('rests', this.#party.life, this.#random.between(0, this.#plan.restMs));
      const old = this.#random.chance(0.1) && this.#sent.length > 0 ? this.#random.pick(this.#sent) : null;
      const made = old ?? this.#make();
      const conditional = old === null && this.#random.chance(0.2);
      await this.#publish(made, conditional ? (this.#lastSeen.get(made.topic) ?? 0) : null);
    }
  }

  #make(): Made {
    const events = Array.from({ length: this.#random.between(1, BATCH_MAX) }, () => this.#event());
    // The same twice in one request is one event.
    if (this.#random.chance(0.05)) {
      events.push(...events.slice(0, 1));
    }
    const made = { topic: this.#random.pick(this.#plan.topics), events };
    this.#sent.push(made);
    return made;
  }

  #event(): SentEvent {
    this.#count += 1;
    // At times an id is used again for something else.
    const used = this.#count > 1 && this.#random.chance(0.01) ? this.#random.between(1, this.#count - 1) : this.#count;
    const keys = { subject: this.#random.pick(KEYS), partitionkey: this.#random.pick([null, null, null, null, 'k2']) };
    return newEvent(this.#name, String(used), this.#random.pick(TYPES), keys, String(this.#count));
  }

  async #publish(made: Made, expected: number | null): Promise<void> {
    for (let attempt = 0; attempt <= RETRIES_MAX; attempt += 1) {
      const outcome = await publishOnce(this.#world, this.#party, this.#recorder, made, expected);
      if (outcome.outcome === 'success') {
        this.#lastSeen.set(made.topic, Math.max(...outcome.receipts.map((receipt) => receipt.sequence)));
        return;
      }
      if (outcome.outcome === 'failure') {
        this.#lastSeen.set(made.topic, outcome.refusedAt ?? 0);
        return;
      }
      await this.#world.scheduler.sleep('waits to retry', this.#party.life, this.#random.between(1, 1_000));
    }
  }
}

/** One publish, written down. */
export async function publishOnce(
  world: World,
  party: Party,
  recorder: Recorder,
  made: Made,
  expected: number | null,
): Promise<Publish> {
  const operation: Publish = {
    kind: 'publish',
    outcome: 'unknown',
    start: recorder.now,
    end: Number.POSITIVE_INFINITY,
    topic: made.topic,
    events: made.events.map((event) => ({
      identity: `${event.source} ${event.id}`,
      content: event.content,
      type: event.type,
    })),
    expected,
    receipts: [],
    refusedAt: null,
  };
  recorder.add(operation);
  // Sent again it may belong to another trace, and is the same.
  const events = world.scheduler.random.chance(0.2)
    ? made.events.map((event) => traced(event, recorder.now))
    : made.events;
  const request: AppendRequest = { v: 1, events: packed(events), expectedLastSequence: expected, create: true };
  try {
    const result = await world.topicLog(party, made.topic).append(request);
    if (result.outcome === 'appended') {
      operation.outcome = 'success';
      operation.receipts = receiptsOf(result, made.events.length);
    } else {
      operation.outcome = 'failure';
      operation.refusedAt = result.outcome === 'wrong-expected-sequence' ? result.lastSequence : null;
    }
    world.scheduler.trace.add(`publish to ${made.topic}: ${JSON.stringify(result)}`);
  } catch {
    // It may have had effect or not: the outcome stays unknown.
  }
  operation.end = recorder.now;
  return operation;
}

function newEvent(
  source: string,
  id: string,
  type: string,
  { subject, partitionkey }: { subject: string | null; partitionkey: string | null },
  data: string,
): SentEvent {
  const key = partitionkey ?? subject;
  const time = '2026-01-01T00:00:00Z';
  const head = { specversion: '1.0', id, source, type, subject: subject ?? undefined, time };
  const json = JSON.stringify({ ...head, partitionkey: partitionkey ?? undefined, data });
  return { type, source, id, key, content: data, json };
}

/** The same event in another trace. */
function traced(event: SentEvent, number: number): SentEvent {
  const traceparent = `00-${'a'.repeat(32)}-${String(number).padStart(16, '0')}-01`;
  return { ...event, json: event.json.replace(',"data":', `,"traceparent":"${traceparent}","data":`) };
}
