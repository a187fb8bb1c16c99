import { hasWildcard } from '../events/names.ts';
import type { Position } from '../events/position.ts';
import { secretGiven } from '../subscriptions/delivery-kinds.ts';
import type { SubscriptionDocument } from '../subscriptions/document.ts';
import type { ConfigurationView } from '../subscriptions/protocol-views.ts';
import type { TopicConfig, TopicDescription } from '../topics/protocol.ts';
import { mapBounded } from './bounded.ts';
import { CONFIG_ITEMS_MAX, type ConfigBody, type HeldSecrets, secretsIn, withSecrets } from './config-schema.ts';
import type { Context } from './context.ts';
import { parseDocument } from './parse.ts';
import { type InputError, Problem, type ProblemCode } from './problem.ts';
import { positionProblem } from './subscription-problems.ts';
import { READ_ONLY_FIELDS, type SubscriptionBody, subscriptionBody, toDocument } from './subscription-schema.ts';
import { configOut } from './subscription-view.ts';
import {
  TOPIC_LATER_FIELDS,
  TOPIC_READ_ONLY_FIELDS,
  topicBody,
  topicConfigOut,
  toTopicConfig,
} from './topic-schema.ts';
import { refuseReserved } from './topics.ts';
import { checkDelivery } from './webhook-guard.ts';

/** What a document asks for, judged as a whole and held against what is there, before anything is changed. */

export type Change = 'created' | 'replaced' | 'unchanged';

export interface TopicPlan {
  name: string;
  config: TopicConfig;
  change: Change;
}

export interface SubscriptionPlan {
  name: string;
  /** With its secret where the document holds one. */
  document: SubscriptionDocument;
  /** Null: as it is. */
  paused: boolean | null;
  present: ConfigurationView | null;
  change: Change;
}

export interface Plan {
  topics: TopicPlan[];
  subscriptions: SubscriptionPlan[];
}

/** Errors named of one document. */
const ERRORS_MAX = 100;

/**
 * Reads the whole document, and what it is about. Changes nothing.
 *
 * @throws Problem naming each thing that is wrong; whatever else if a part of the hub cannot be reached
 */
export async function planOf(body: ConfigBody, passphrase: string | null, context: Context): Promise<Plan> {
  const faults = new Faults();
  for (const kind of ['topics', 'subscriptions'] as const) refuseDoubles(kind, body[kind], faults);
  if (body.topics.length + body.subscriptions.length > CONFIG_ITEMS_MAX) {
    throw new Problem(
      'payload-too-large',
      `At most ${CONFIG_ITEMS_MAX} topics and subscriptions in one document: send several.`,
    );
  }
  const held = secretsIn(body, passphrase);
  const topics = await mapBounded([...body.topics.entries()], ([index, entry]) =>
    faults.catching(`topics[${index}]`, () => planTopic(entry, context)),
  );
  const subscriptions = await mapBounded([...body.subscriptions.entries()], ([index, entry]) =>
    faults.catching(`subscriptions[${index}]`, () => planSubscription(entry, held.get(entry.name), context)),
  );
  faults.refuse();
  return {
    topics: topics.filter((plan) => plan !== null),
    subscriptions: subscriptions.filter((plan) => plan !== null),
  };
}

function refuseDoubles(kind: 'topics' | 'subscriptions', entries: readonly { name: string }[], faults: Faults): void {
  const names = new Set<string>();
  for (const [index, { name }] of entries.entries()) {
    if (names.has(name))
      faults.add('invalid-request', [{ path: `${kind}[${index}].name`, message: `${name} is there twice` }]);
    names.add(name);
  }
}

async function planTopic(entry: ConfigBody['topics'][number], { hub }: Context): Promise<TopicPlan> {
  const { name } = entry;
  const config = toTopicConfig(parseDocument(topicBody, entry, TOPIC_READ_ONLY_FIELDS, TOPIC_LATER_FIELDS));
  refuseReserved(name);
  const present = await hub.topic(name).describe();
  return { name, config, change: changeOf(present && topicShape(present), JSON.stringify(topicConfigOut(config))) };
}

function topicShape({ config }: TopicDescription): string {
  return JSON.stringify(topicConfigOut(config));
}

async function planSubscription(
  entry: ConfigBody['subscriptions'][number],
  sealed: HeldSecrets | undefined,
  context: Context,
): Promise<SubscriptionPlan> {
  const { name, paused = null } = entry;
  const subscription = context.hub.subscription(name);
  const present = await subscription.configuration();
  const body = parseDocument(subscriptionBody, withSecrets(entry, sealed, present), READ_ONLY_FIELDS, {});
  await checkDelivery(body.delivery, context);
  const document = { ...toDocument(body), from: await startOf(body, present, context) };
  const secret = secretGiven(document.delivery);
  // One that can't be opened any more is there to be replaced.
  const held = present === null || secret === null ? null : await subscription.secret();
  const heldSecret = held !== null && 'secret' in held ? held.secret : null;
  const wanted = shapeOf(document, secret, paused ?? present?.paused ?? false);
  const change = changeOf(present && shapeOf(present.document, heldSecret, present.paused), wanted);
  return { name, document, paused, present, change };
}

function shapeOf(document: SubscriptionDocument, secret: string | null, paused: boolean): string {
  return JSON.stringify({ paused, ...configOut(document, secret) });
}

/** Both as they are written, every default filled in. */
function changeOf(present: string | null, wanted: string): Change {
  if (present === null) return 'created';
  return present === wanted ? 'unchanged' : 'replaced';
}

/**
 * Where it starts: a sequence or time has to be one that the named topics have. In a hub that a document is moved to they have
 * no events yet: there any start is with the first.
 *
 * @throws Problem `position-ahead`, `sequence-expired`
 */
async function startOf(
  { from, topics }: SubscriptionBody,
  present: ConfigurationView | null,
  { hub }: Context,
): Promise<Position> {
  if (from.kind === 'earliest' || from.kind === 'latest') return from;
  const named = topics.filter((topic) => !hasWildcard(topic) && !present?.document.topics.includes(topic));
  const starts = await mapBounded(named, async (topic) => ({
    topic,
    result: await hub.topic(topic).resolve(from, 'start'),
  }));
  const refused = starts.flatMap(({ topic, result }) => (result.outcome === 'resolved' ? [] : [{ ...result, topic }]));
  const [first] = refused;
  if (first === undefined) return from;
  const areEmpty = refused.every((refusal) => refusal.outcome === 'position-ahead' && refusal.lastSequence === 0);
  if (areEmpty && refused.length === named.length) return { kind: 'earliest' };
  throw positionProblem(first, 'from');
}

/** What is wrong with a document, gathered over all that is in it. */
class Faults {
  readonly #errors: InputError[] = [];
  #code: ProblemCode | null = null;

  add(code: ProblemCode, errors: InputError[]): void {
    this.#code ??= code;
    this.#errors.push(...errors);
  }

  /** The result of `work`, or null if it is refused for what the entry at `path` says. */
  async catching<T>(path: string, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem) || error.status >= 500) throw error;
      const errors = error.errors.length > 0 ? error.errors : [{ path: 'name', message: error.message }];
      this.add(
        error.code,
        errors.map(({ path: inner, message }) => ({ path: `${path}.${inner}`, message })),
      );
      return null;
    }
  }

  /** @throws Problem under the code of the first fault, if there is any */
  refuse(): void {
    if (this.#code === null) return;
    const errors = this.#errors.slice(0, ERRORS_MAX);
    const detail = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new Problem(this.#code, `Nothing was changed. ${detail}`, { errors });
  }
}
