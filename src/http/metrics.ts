import { z } from 'zod';
import { accessOf } from '../access/authenticate.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { SubscriptionMetrics } from '../subscriptions/protocol-views.ts';
import type { TopicMetrics } from '../topics/protocol.ts';
import { noBody } from './body.ts';
import { mapBounded } from './bounded.ts';
import type { Hub } from './hub.ts';
import { metricsOf } from './metric-names.ts';
import { PROMETHEUS_TEXT, prometheusText } from './prometheus.ts';
import { type Route, route } from './route.ts';

/**
 * `GET /metrics`. Sums live in the objects, so that each scrape asks every topic and subscription once, up to a bound: the
 * platform allows a thousand calls a request. What was left out, or didn't answer, is a metric itself.
 */

/** Topics, and subscriptions, asked by one scrape: the first by name. */
export const METRICS_OBJECTS_MAX = 400;
/** One that has no answer by then is left out. */
export const METRICS_ANSWER_MAX_MS = 5_000;

/** What the objects of one kind said. */
export interface Asked<M> {
  /** By name. */
  answers: Map<string, M>;
  /** More are there than were asked. */
  truncated: boolean;
  unanswered: number;
}

export const metricsRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/metrics',
    tag: 'Running it',
    summary: 'Counts of the hub for Prometheus',
    description: `Asks the first ${METRICS_OBJECTS_MAX} topics and as many subscriptions, one call each; docs/observability.md says what each metric means.`,
    params: {},
    query: {},
    body: noBody,
    scopes: 'metrics',
    needs: () => [{ scope: 'metrics' }],
    responses: { 200: z.string() },
    produces: ['text/plain'],
    handler: async (_input, { hub }) => {
      const catalog = new Catalog(hub.db);
      // Before the topics: then none is further on in a topic than the topic says.
      const subscriptions = await askAll(
        await catalog.subscriptionsAfter('', METRICS_OBJECTS_MAX + 1),
        (name): Promise<SubscriptionMetrics | null> => hub.subscription(name).metrics(),
      );
      const topics = await askAll(
        await catalog.topicsAfter('', METRICS_OBJECTS_MAX + 1),
        (name): Promise<TopicMetrics | null> => hub.topic(name).metrics(),
      );
      const text = prometheusText(metricsOf({ topics, subscriptions, revocations: revocationsOf(hub) }));
      return new Response(text, { headers: { 'content-type': PROMETHEUS_TEXT, 'cache-control': 'no-store' } });
    },
  }),
];

async function askAll<M>(names: string[], ask: (name: string) => Promise<M | null>): Promise<Asked<M>> {
  const asked = names.slice(0, METRICS_OBJECTS_MAX);
  const answers = new Map<string, M>();
  let unanswered = 0;
  await mapBounded(asked, async (name) => {
    try {
      const answer = await inTime(ask(name));
      // The catalogue is a mirror: one deleted a moment ago may still be in it.
      if (answer !== null) answers.set(name, answer);
    } catch {
      unanswered += 1;
    }
  });
  return { answers, truncated: names.length > asked.length, unanswered };
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('No answer in time.')), METRICS_ANSWER_MAX_MS);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Of the isolate that answers. */
export interface RevocationList {
  ageMs: number | null;
  failures: number;
}

function revocationsOf(hub: Hub): RevocationList {
  const access = accessOf(hub);
  if ('missing' in access) return { ageMs: null, failures: 0 };
  return { ageMs: access.revocations.age(hub.now()), failures: access.revocations.failures };
}
