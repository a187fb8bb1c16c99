import { z } from 'zod';
import { recordAudit } from '../access/audit.ts';
import { Catalog } from '../catalog/catalog.ts';
import { isReservedTopic } from '../events/names.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import { type Plan, planOf, type SubscriptionPlan, type TopicPlan } from './config-plan.ts';
import {
  CONFIG_BYTES_MAX,
  configAnswer,
  configBody,
  PASSPHRASE_HEADER,
  passphraseOf,
  secretsOut,
  subscriptionEntryOut,
  topicEntryOut,
} from './config-schema.ts';
import type { Context, Needed } from './context.ts';
import { flagField } from './fields.ts';
import type { Hub } from './hub.ts';
import { Problem, problemOf } from './problem.ts';
import { type Route, route } from './route.ts';
import { ofWebhook } from './subscription-problems.ts';
import { putOrRefuse } from './subscriptions.ts';

/** Export and import of the whole configuration. */

const tag = 'Configuration';
const adminOnly = (): Needed[] => [{ scope: 'admin' }];
const NAMES_AT_ONCE = 500;
/** Seconds after which a part of the hub that was away may be back. */
const RETRY_AFTER_SECONDS = 1;

const appliedItem = z.object({
  name: z.string(),
  outcome: z.enum(['created', 'replaced', 'unchanged', 'failed']),
  secretMade: z.literal(true).optional().describe('It was made without a secret, so the hub made one.'),
  problem: z.object({ code: z.string(), detail: z.string() }).optional(),
});
type AppliedItem = z.output<typeof appliedItem>;

const appliedAnswer = z
  .object({ dryRun: z.boolean(), topics: z.array(appliedItem), subscriptions: z.array(appliedItem) })
  .meta({ id: 'AppliedConfig' });

const exported = route({
  method: 'GET',
  path: '/v1/config',
  tag,
  summary: 'The whole configuration: topics and subscriptions, by name',
  description:
    `Webhook secrets and the values of webhook headers are left out, or sealed under the passphrase in ${PASSPHRASE_HEADER}. ` +
    'Keys are not in it: the hub does not know them.',
  params: {},
  query: {},
  body: noBody,
  headers: { [PASSPHRASE_HEADER]: 'Puts the secrets into the document, sealed under this passphrase.' },
  scopes: 'admin',
  needs: adminOnly,
  responses: { 200: configAnswer },
  problems: ['secret-unreadable'],
  handler: async (_input, { hub, request, caller, requestId }) => {
    const passphrase = passphraseOf(request);
    const [topicNames, subscriptionNames] = await allNames(new Catalog(hub.db));
    const topics = await mapBounded(topicNames, (name) => hub.topic(name).describe());
    const subscriptions = await mapBounded(subscriptionNames, (name) => exportOne(name, passphrase !== null, hub));
    // The catalogue is a mirror: one deleted a moment ago may still be in it.
    const present = subscriptions.filter((one) => one !== null);
    let secrets: z.output<typeof configAnswer>['secrets'] = null;
    if (passphrase !== null) {
      recordAudit(hub, { key: caller.name, requestId, action: 'config.export', target: 'secrets' });
      const held = present.flatMap((one) => one.held ?? []);
      secrets = secretsOut(held, passphrase, hub.random);
    }
    const body = {
      version: 1 as const,
      topics: topics.filter((topic) => topic !== null).map(topicEntryOut),
      subscriptions: present.map(({ entry }) => entry),
      secrets,
    };
    return { status: 200, body, headers: { 'cache-control': 'no-store' } };
  },
});

async function exportOne(name: string, withSecrets: boolean, hub: Hub) {
  const subscription = hub.subscription(name);
  const view = await subscription.configuration();
  if (view === null) return null;
  const entry = subscriptionEntryOut(name, view);
  if (!withSecrets) return { entry, held: null };
  const { delivery } = view.document;
  if (delivery.kind !== 'webhook') return { entry, held: null };
  const found = await subscription.secret();
  return found && { entry, held: { name, secret: ofWebhook(found, name).secret, headers: delivery.headers } };
}

async function allNames(catalog: Catalog): Promise<[topics: string[], subscriptions: string[]]> {
  const topics = await allPages((after) => catalog.topicsAfter(after, NAMES_AT_ONCE));
  const subscriptions = await allPages((after) => catalog.subscriptionsAfter(after, NAMES_AT_ONCE));
  return [topics.filter((topic) => !isReservedTopic(topic)), subscriptions];
}

async function allPages(pageAfter: (after: string) => Promise<string[]>): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const page = await pageAfter(names.at(-1) ?? '');
    names.push(...page);
    if (page.length < NAMES_AT_ONCE) return names;
  }
}

const applied = route({
  method: 'PUT',
  path: '/v1/config',
  tag,
  summary: 'Make or replace what is in a document that GET gave',
  description:
    'Everything is judged first: one thing that is wrong, and nothing is changed. What is not in the document stays. A ' +
    'subscription that is made starts at its `from`. If a part of the hub cannot be reached meanwhile, the answer is ' +
    '503 config-incomplete with what became of each; the same document sent again finishes it.',
  params: {},
  query: {
    dryRun: flagField.meta({ description: 'Only says what would be done.' }),
  },
  body: configBody,
  bodyMaxBytes: CONFIG_BYTES_MAX,
  headers: { [PASSPHRASE_HEADER]: 'Opens the secrets in the document.' },
  scopes: 'admin',
  needs: adminOnly,
  responses: { 200: appliedAnswer },
  problems: ['url-not-allowed', 'reserved-topic', 'position-ahead', 'sequence-expired', 'config-incomplete'],
  handler: async ({ body, query }, context) => {
    const plan = await planOf(body, passphraseOf(context.request), context);
    const { dryRun } = query;
    const { topics, subscriptions } = dryRun ? foreseen(plan) : await apply(plan, context);
    const all = [...topics, ...subscriptions];
    const failed = all.filter(({ outcome }) => outcome === 'failed').length;
    if (failed > 0) {
      throw new Problem(
        'config-incomplete',
        `${failed} of ${all.length} could not be applied; the others are. Send the same document again.`,
        { extra: { topics, subscriptions }, headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } },
      );
    }
    return { status: 200, body: { dryRun, topics, subscriptions } };
  },
});

interface Applied {
  topics: AppliedItem[];
  subscriptions: AppliedItem[];
}

function foreseen({ topics, subscriptions }: Plan): Applied {
  const item = ({ name, change }: TopicPlan | SubscriptionPlan): AppliedItem => ({ name, outcome: change });
  return { topics: topics.map(item), subscriptions: subscriptions.map(item) };
}

/** Topics first, so that subscriptions find them as they are to be. */
async function apply({ topics, subscriptions }: Plan, context: Context): Promise<Applied> {
  const { hub } = context;
  return {
    topics: await mapBounded(topics, (plan) => applyOne('topic', plan, () => applyTopic(plan, hub), context)),
    subscriptions: await mapBounded(subscriptions, (plan) =>
      applyOne('subscription', plan, () => applySubscription(plan, hub), context),
    ),
  };
}

/** Never throws: what fails is told in the item, and the others go on. */
async function applyOne(
  kind: 'topic' | 'subscription',
  { name, change }: TopicPlan | SubscriptionPlan,
  work: () => Promise<Partial<AppliedItem>>,
  { hub, caller, requestId }: Context,
): Promise<AppliedItem> {
  if (change === 'unchanged') return { name, outcome: change };
  try {
    const more = await work();
    const action = `${kind}.${change === 'created' ? 'create' : 'update'}`;
    recordAudit(hub, { key: caller.name, requestId, action, target: name });
    return { name, outcome: change, ...more };
  } catch (error) {
    const known = problemOf(error);
    if (known === null) hub.log('error', 'A part of a configuration failed.', { requestId, kind, name, error });
    const problem = known ?? new Problem('internal-error', `Something went wrong: look for ${requestId} in the log.`);
    return { name, outcome: 'failed', problem: { code: problem.code, detail: problem.message } };
  }
}

async function applyTopic({ name, config }: TopicPlan, hub: Hub): Promise<Partial<AppliedItem>> {
  await hub.topic(name).configure(config, null);
  return {};
}

/** One that is to be paused is so from its first moment. */
async function applySubscription(plan: SubscriptionPlan, hub: Hub): Promise<Partial<AppliedItem>> {
  const { name, document, paused, present } = plan;
  const subscription = hub.subscription(name);
  const ifMatch = present?.etag ?? null;
  const result = await subscription.put({ v: 1, name, document, ifMatch, ...(paused === true ? { paused } : {}) });
  // Headers that the document leaves out were taken from what was there a moment ago.
  if (result.outcome === 'precondition-failed') {
    throw new Problem('precondition-failed', 'It was changed meanwhile. Send the document again.');
  }
  putOrRefuse(result);
  if (paused === false && present?.paused === true) await subscription.resume();
  const { delivery } = document;
  return present === null && delivery.kind === 'webhook' && delivery.secret === null ? { secretMade: true } : {};
}

export const configRoutes: Route[] = [exported, applied];
