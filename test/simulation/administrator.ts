import { DeadLetters } from '../../src/dead-letters/letters.ts';
import type { Position } from '../../src/events/position.ts';
import { rateLimitOf } from '../../src/subscriptions/delivery-kinds.ts';
import type {
  Delivery,
  DeliveryKind,
  PullDelivery,
  SubscriptionDocument,
  Transform,
  WebhookDelivery,
  WebhookFormat,
} from '../../src/subscriptions/document.ts';
import type { SubscriptionView } from '../../src/subscriptions/protocol-views.ts';
import type { Configure } from '../history/operations.ts';
import type { RateChange } from '../history/rate-rules.ts';
import type { Party } from './object-host.ts';
import type { Plan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { HostedSubscription, World } from './world.ts';

const TOPIC_SETS = [
  ['orders'],
  ['orders'],
  ['billing.*'],
  ['orders', 'billing.*'],
  ['billing.a', 'late.x'],
  ['late.x'],
  ['>'],
];
const FILTERS = [[], [], ['shop.*'], ['mail.sent'], ['shop.order', 'mail.*'], ['*nd']];
/** Expressions, and the types that they let pass; those that fail on the others let pass what is redriven too. */
const EXPRESSIONS: { cel: string; passes: string[] }[] = [
  { cel: 'type.startsWith("shop.")', passes: ['shop.*'] },
  { cel: 'data.nothing == 1 || type == "mail.sent"', passes: ['mail.sent'] },
  { cel: 'type.startsWith("shop.") || sequence / 0 == 1', passes: [] },
  { cel: 'sequence % 3 != 0 || data > 1.0', passes: [] },
];
/** The second fails on some events. */
const TRANSFORMS: Transform[] = [
  { data: 'data', headers: '{ "x-type": type }', path: null },
  { data: 'type = "mail.sent" ? $error("no") : data', headers: null, path: null },
];
const SCHEDULES = [[], [], [100], [500], [1_000, 5_000], [200, 400, 800, 20_000]];

const LATE_INTERVENTIONS = 4;
const LATE_REST_MS = 20_000;

/** What was ever asked of a subscription, for the judge. */
export interface Asked {
  /** Topics and start of every `put`. */
  documents: SubscriptionDocument[];
  sought: boolean;
  deleted: boolean;
  replayed: boolean;
  /** What the last seek of each topic skipped; null: an answer was lost. */
  skipped: Map<string, number> | null;
}

/** Whoever makes, changes, pauses, seeks, replays, redrives, looks and deletes. */
export class Administrator {
  readonly asked = new Map<string, Asked>();
  readonly replays: { id: string; subscription: string }[] = [];
  readonly rateChanges: RateChange[] = [];
  readonly #world: World;
  readonly #plan: Plan;
  readonly #recorder: Recorder;
  readonly #random: SeededRandom;
  readonly #party: Party;

  constructor(world: World, plan: Plan, recorder: Recorder) {
    this.#world = world;
    this.#plan = plan;
    this.#recorder = recorder;
    this.#random = world.scheduler.random;
    this.#party = world.outsider('admin');
  }

  async run(): Promise<void> {
    for (const name of this.#plan.subscriptions) {
      await this.#rest();
      await this.#put(name);
    }
    for (let change = 0; change < this.#plan.changes; change += 1) {
      await this.#rest();
      await this.#change(this.#random.pick(this.#plan.subscriptions));
    }
    // Letters come late: somebody looks at them after everything else.
    for (let letter = 0; this.#plan.interventions && letter < LATE_INTERVENTIONS; letter += 1) {
      await this.#world.scheduler.sleep('rests', this.#party.life, this.#random.between(0, LATE_REST_MS));
      const name = this.#random.pick(this.#plan.subscriptions);
      const action = this.#random.pick(['redrive', 'redrive', 'discard', 'job'] as const);
      await (action === 'job' ? this.#job(name) : this.#intervene(name, action));
    }
  }

  async #rest(): Promise<void> {
    await this.#world.scheduler.sleep('rests', this.#party.life, this.#random.between(0, this.#plan.restMs));
  }

  async #change(name: string): Promise<void> {
    const { changesOfFilter, changesOfOrdering, seeks, recreations, removals, replays, interventions } = this.#plan;
    const action = this.#random.weighted({
      look: 4,
      pause: 1,
      resume: 1,
      put: changesOfFilter || changesOfOrdering ? 1 : 0,
      seek: seeks ? 1.5 : 0,
      recreate: recreations ? 1 : 0,
      removeTopic: removals ? 0.5 : 0,
      replay: replays ? 1.5 : 0,
      cancel: replays ? 0.5 : 0,
      rate: replays ? 0.3 : 0,
      lookAtReplay: replays ? 2 : 0,
      redrive: interventions ? 4 : 0,
      discard: interventions ? 1 : 0,
      job: interventions ? 1 : 0,
      rotate: 0.2,
    });
    switch (action) {
      case 'look':
        return this.look(name);
      case 'pause':
        return this.#configure(name, 'pause', [], (subscription) => subscription.pause());
      case 'resume':
        return this.#configure(name, 'resume', [], (subscription) => subscription.resume());
      case 'put':
        return this.#put(name);
      case 'seek':
        return this.#seek(name);
      case 'recreate':
        return this.#recreate(name);
      case 'removeTopic':
        return this.#removeTopic();
      case 'replay':
        return this.#replay(name);
      case 'cancel':
      case 'rate':
      case 'lookAtReplay':
        return this.#onReplay(action);
      case 'redrive':
      case 'discard':
        return this.#intervene(name, action);
      case 'job':
        return this.#job(name);
      case 'rotate':
        await this.#try(() => this.#subscription(name).rotateSecret(10_000));
        return;
    }
  }

  #subscription(name: string): HostedSubscription {
    return this.#world.subscription(this.#party, name);
  }

  async #try<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call();
    } catch {
      return null;
    }
  }

  /** A change of the configuration, written down; unknown if it never answered. */
  async #configure<T>(
    name: string,
    action: Configure['action'],
    types: string[],
    call: (subscription: HostedSubscription) => Promise<T>,
    succeeded: (result: T) => Configure['outcome'] = () => 'success',
    topic: string | null = null,
  ): Promise<void> {
    const operation: Configure = {
      kind: 'configure',
      outcome: 'unknown',
      start: this.#recorder.now,
      end: Number.POSITIVE_INFINITY,
      subscription: name,
      action,
      topic,
      topics: action === 'put' ? (this.asked.get(name)?.documents.at(-1)?.topics ?? []) : [],
      types,
      ordering: this.asked.get(name)?.documents.at(-1)?.ordering ?? 'none',
    };
    this.#recorder.add(operation);
    try {
      const result = await call(this.#subscription(name));
      operation.outcome = succeeded(result);
      this.#world.scheduler.trace.add(`${action} ${name}: ${operation.outcome}`);
    } catch {
      // Unknown.
    }
    operation.end = this.#recorder.now;
  }

  async #put(name: string): Promise<void> {
    const before: Asked = this.asked.get(name) ?? {
      documents: [],
      sought: false,
      deleted: false,
      replayed: false,
      skipped: new Map(),
    };
    const last = before.documents.at(-1);
    const { document, passes } = this.#document(name);
    // Topics change more rarely than the rest: most seeds are to keep to one set, so that their sums can be judged.
    if (last !== undefined && !this.#random.chance(0.2)) {
      document.topics = last.topics;
    }
    if (last !== undefined && !this.#plan.changesOfOrdering) {
      document.ordering = last.ordering;
    }
    before.documents.push(document);
    this.asked.set(name, before);
    const change: RateChange = {
      subscription: name,
      limit: rateLimitOf(document.delivery),
      from: this.#world.scheduler.elapsed,
      madeAt: Number.POSITIVE_INFINITY,
    };
    this.rateChanges.push(change);
    await this.#configure(
      name,
      'put',
      passes,
      (subscription) => subscription.put({ v: 1, name, document, ifMatch: null }),
      (result) => {
        // `unavailable` says nothing of what has been done.
        if (result.outcome === 'unavailable') {
          return 'unknown';
        }
        const isMade = result.outcome === 'created' || result.outcome === 'replaced';
        if (isMade) change.madeAt = this.#world.scheduler.elapsed;
        return isMade ? 'success' : 'failure';
      },
    );
    if (this.#plan.handshakes && this.#random.chance(0.7))
      await this.#try(() => this.#world.askForConsent(this.#party, name));
  }

  /** `passes`: the types that may be delivered. */
  #document(name: string): { document: SubscriptionDocument; passes: string[] } {
    const { random } = this.#world.scheduler;
    const topics = random.pick(TOPIC_SETS);
    let from: Position = random.chance(0.6) ? { kind: 'earliest' } : { kind: 'latest' };
    // A named topic refuses what lies beyond its end.
    if (topics.every((topic) => /[*>]/.test(topic)) && random.chance(0.5)) {
      const future = this.#world.scheduler.now() + 3_600_000;
      const sequence = random.between(1, 30);
      from = random.chance(0.7) ? { kind: 'sequence', sequence } : { kind: 'time', time: future };
    }
    const types = random.pick(FILTERS);
    const expression = this.#plan.expressions && random.chance(0.5) ? random.pick(EXPRESSIONS) : null;
    const format = random.pick(this.#plan.formats);
    const kind = random.pick(this.#plan.kinds);
    const document: SubscriptionDocument = {
      topics,
      from,
      filter: expression === null ? { types, cel: null } : { types: [], cel: expression.cel },
      // What is pulled is transformed where it is given out, which is not here.
      transform: kind === 'webhook' && this.#plan.expressions && random.chance(0.3) ? random.pick(TRANSFORMS) : null,
      ordering: random.pick(this.#plan.orderings),
      maxInFlight: random.pick([1, 2, 8, 64]),
      retry: { scheduleMs: random.pick(SCHEDULES), jitter: 0.2 },
      disableAfterMs: 5 * 24 * 3_600_000,
      attempts: { maxCount: 10_000, maxAgeMs: 7 * 24 * 3_600_000 },
      delivery: this.#delivery(kind, name, format),
    };
    return { document, passes: expression?.passes ?? types };
  }

  #webhook(name: string, format: WebhookFormat): WebhookDelivery {
    const { random } = this.#world.scheduler;
    return {
      kind: 'webhook',
      url: `https://${random.pick(['one', 'two'])}.${name}.example.com/${name}`,
      format,
      timeoutMs: random.pick([300, 2_000, 15_000]),
      headers: {},
      secret: null,
      rateLimit: random.pick(this.#plan.rates),
      maxBatch: format === 'batch' ? random.pick([1, 2, 5, 50]) : 1,
      handshake: this.#plan.handshakes,
    };
  }

  #delivery(kind: DeliveryKind, name: string, format: WebhookFormat): Delivery {
    const { random } = this.#world.scheduler;
    switch (kind) {
      case 'webhook':
        return this.#webhook(name, format);
      case 'pull':
        return this.#pull();
      case 'service':
        return {
          kind,
          binding: random.pick(['ONE', 'TWO']),
          call: 'rpc',
          timeoutMs: random.pick([300, 2_000, 15_000]),
          maxBatch: random.pick([1, 3, 50]),
          rateLimit: random.pick(this.#plan.rates),
        };
      case 'queue':
        return {
          kind,
          binding: random.pick(['ONE', 'TWO']),
          // Nothing else can be in order behind a queue.
          confirm: this.#plan.orderings.some((ordering) => ordering !== 'none') || random.chance(0.5),
          ackDeadlineMs: random.pick([5_000, 30_000]),
          rateLimit: null,
        };
    }
  }

  #pull(): PullDelivery {
    const { random } = this.#world.scheduler;
    return {
      kind: 'pull',
      ackDeadlineMs: random.pick([1_000, 5_000, 30_000]),
      maxDeliveries: random.pick([1, 2, 5, 100]),
    };
  }

  async #seek(name: string): Promise<void> {
    const asked = this.asked.get(name);
    if (asked !== undefined) {
      asked.sought = true;
    }
    // Until it has answered nobody knows what it did.
    const before = asked?.skipped ?? null;
    if (asked !== undefined) {
      asked.skipped = null;
    }
    const topic = this.#random.chance(0.5) ? this.#random.pick(this.#plan.topics) : null;
    const to = this.#position();
    await this.#configure(
      name,
      'seek',
      [],
      (subscription) => subscription.seek({ topic, to }),
      (result) => {
        for (const moved of result.outcome === 'sought' ? result.topics : []) {
          before?.set(moved.topic, moved.skipped);
        }
        if (asked !== undefined) {
          asked.skipped = before;
        }
        return result.outcome === 'sought' ? 'success' : 'failure';
      },
      topic,
    );
  }

  #position(): Position {
    return this.#random.pick<Position>([
      { kind: 'earliest' },
      { kind: 'latest' },
      { kind: 'sequence', sequence: this.#random.between(1, 12) },
      { kind: 'time', time: this.#world.scheduler.now() - this.#random.between(0, 60_000) },
    ]);
  }

  async #recreate(name: string): Promise<void> {
    const asked = this.asked.get(name);
    if (asked !== undefined) {
      asked.deleted = true;
      asked.skipped = asked.skipped?.size === 0 ? asked.skipped : null;
    }
    await this.#configure(
      name,
      'delete',
      [],
      (subscription) => subscription.remove(),
      () => {
        if (asked !== undefined) {
          asked.skipped = new Map();
        }
        return 'success';
      },
    );
    await this.#rest();
    await this.#put(name);
  }

  async #removeTopic(): Promise<void> {
    const topic = this.#random.pick(this.#plan.topics);
    this.#recorder.add({ kind: 'remove-topic', topic, start: this.#recorder.now, end: Number.POSITIVE_INFINITY });
    await this.#try(() => this.#world.topicLog(this.#party, topic).remove({ force: true }));
  }

  async #replay(name: string): Promise<void> {
    const id = `replay-${this.replays.length + 1}`;
    const asked = this.asked.get(name);
    if (asked !== undefined) {
      asked.replayed = true;
    }
    this.replays.push({ id, subscription: name });
    const request = {
      v: 1 as const,
      id,
      topic: this.#random.pick(this.#plan.topics),
      from: this.#random.chance(0.5) ? ({ kind: 'earliest' } as const) : this.#position(),
      to: this.#random.chance(0.5) ? null : this.#position(),
      filter: {
        types: this.#random.chance(0.3) ? ['shop.*'] : [],
        cel: this.#plan.expressions && this.#random.chance(0.5) ? this.#random.pick(EXPRESSIONS).cel : null,
      },
      rateLimit: this.#random.chance(0.3) ? { count: this.#random.between(1, 5), spanMs: 1_000 } : null,
    };
    await this.#try(() => this.#subscription(name).startReplay(request));
  }

  async #onReplay(action: 'cancel' | 'rate' | 'lookAtReplay'): Promise<void> {
    const replay = this.replays.length === 0 ? null : this.#random.pick(this.replays);
    if (replay === null) {
      return;
    }
    const subscription = this.#subscription(replay.subscription);
    if (action === 'cancel') {
      await this.#try(() => subscription.cancelReplay(replay.id));
    } else if (action === 'rate') {
      await this.#try(() => subscription.changeReplay(replay.id, { count: 10, spanMs: 1_000 }));
    } else {
      await this.lookAtReplay(replay);
    }
  }

  async lookAtReplay({ id, subscription }: { id: string; subscription: string }): Promise<string | null> {
    const start = this.#recorder.now;
    const view = await this.#try(() => this.#subscription(subscription).replay(id));
    if (view === null) {
      return null;
    }
    const { topic, from, to, filter, status, total, delivered, failed, filtered, remaining } = view;
    const numbers = { from, to, types: filter.types, status, total, delivered, failed, filtered, remaining };
    this.#recorder.add({ kind: 'replay', start, end: this.#recorder.now, id, subscription, topic, ...numbers });
    return status;
  }

  async #intervene(name: string, action: 'redrive' | 'discard'): Promise<void> {
    const letters = new DeadLetters(this.#world.network.d1);
    const filter = { subscription: name, topic: null, reason: null, since: null, until: null, state: 'all' as const };
    const page = await letters.page(filter, 50, null);
    if (page.letters.length === 0) {
      return;
    }
    const letter = this.#random.pick(page.letters);
    const operation = {
      kind: 'intervene' as const,
      start: this.#recorder.now,
      end: Number.POSITIVE_INFINITY,
      subscription: name,
      topic: letter.topic,
      sequence: letter.sequence,
      action,
    };
    this.#recorder.add(operation);
    await this.#try(() => this.#subscription(name)[action](letter));
    operation.end = this.#recorder.now;
  }

  async #job(name: string): Promise<void> {
    const action = this.#random.chance(0.7) ? 'redrive' : 'discard';
    // A job goes on in the alarm: when it has ended nobody is told.
    const span = { start: this.#recorder.now, end: Number.POSITIVE_INFINITY };
    this.#recorder.add({ kind: 'intervene', ...span, subscription: name, topic: null, sequence: null, action });
    const job = {
      id: `job-${this.#recorder.now}`,
      action,
      topic: null,
      reason: null,
      since: null,
      until: null,
    } as const;
    await this.#try(() => this.#subscription(name).startJob(job));
  }

  async look(name: string): Promise<void> {
    const start = this.#recorder.now;
    const view = await this.#try(() => this.#subscription(name).describe());
    // Without its logs it does not know all of what is counted.
    if (view !== null && view.unanswered === 0) {
      this.#note(name, start, view);
    }
  }

  #note(name: string, start: number, view: SubscriptionView): void {
    const { delivered, dead, pending, waiting, filtered, skipped, discarded, lag } = view;
    const [topic, ...others] = view.document.topics;
    const single = topic !== undefined && others.length === 0 && /^[\w.]+$/.test(topic);
    this.#recorder.add({
      kind: 'look',
      start,
      end: this.#recorder.now,
      subscription: name,
      counters: { delivered, dead, pending, waiting, filtered, skipped, discarded },
      lag,
      cursor: view.cursor === null || !single ? null : { topic, sequence: view.cursor },
      bases: this.#bases(name),
    });
  }

  /** Where the counting began, if nothing but one set of named topics from the earliest was ever asked for. */
  #bases(name: string): Record<string, number> | null {
    const asked = this.asked.get(name);
    const [first, ...later] = asked?.documents ?? [];
    if (asked === undefined || first === undefined || asked.sought) {
      return null;
    }
    const same = later.every((document) => JSON.stringify(document.topics) === JSON.stringify(first.topics));
    const plain =
      first.topics.every((topic) => /^[\w.]+$/.test(topic)) &&
      asked.documents.every((document) => document.from.kind === 'earliest');
    return same && plain && !this.#plan.removals ? Object.fromEntries(first.topics.map((topic) => [topic, 0])) : null;
  }
}
