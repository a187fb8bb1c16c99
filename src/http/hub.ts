import { type Bindings, bindingsOf } from '../deliveries/bindings.ts';
import { type Seals, sealsOf } from '../deliveries/seal.ts';
import { DEFAULT_RESOLVER } from '../deliveries/url-guard.ts';
import type { Env } from '../env.ts';
import { quotaName, subscriptionName, topicLogName } from '../object-names.ts';
import type { Background, Database, Log, Random } from '../platform.ts';
import { hmacUnder, log, openSocket, random, upgrade } from '../platform-workers.ts';
import type { QuotaApi } from '../quotas/protocol.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { Socket } from '../tails/ports.ts';
import type { TopicLogApi } from '../topics/protocol.ts';

/** What a request can reach: the rest of the hub, behind the calls it answers. Tests put fakes here. */
export interface Hub {
  topic(name: string): TopicLogApi;
  subscription(name: string): SubscriptionApi;
  /** A socket from a topic's log to whoever reads it live; null: there are too many. */
  feed(topic: string): Promise<Socket | null>;
  /** Answers a WebSocket upgrade; `take` gets the hub's end, open. */
  upgrade(take: (socket: Socket) => void): Response;
  /** What counts the events of a key, by its id. */
  quota(keyId: string): QuotaApi;
  db: Database;
  /** Milliseconds since the epoch. */
  now(): number;
  random: Random;
  background: Background;
  log: Log;
  fetch: typeof fetch;
  /** The queues and Workers that it can deliver to. */
  bindings: Bindings;
  /** Of what it gives to queues; null: HUB_SECRET is none. */
  seals(): Seals | null;
  adminKey: string | undefined;
  hubSecret: string | undefined;
  webhookAllowHosts: string;
  hubHosts: string;
  dnsResolver: string;
  corsOrigins: string;
}

export function hubOf(env: Env, ctx: ExecutionContext): Hub {
  return {
    topic: (name) => env.TOPIC_LOG.getByName(topicLogName(name)),
    subscription: (name) => env.SUBSCRIPTION.getByName(subscriptionName(name)),
    feed: (topic) => feedOf(env.TOPIC_LOG.getByName(topicLogName(topic))),
    upgrade,
    quota: (keyId) => env.QUOTA.getByName(quotaName(keyId)),
    db: env.DB,
    now: () => Date.now(),
    random,
    background: (task) => ctx.waitUntil(task),
    log,
    fetch: (input, init) => fetch(input, init),
    bindings: bindingsOf(env),
    seals: () => sealsOf(env.HUB_SECRET ?? '', hmacUnder),
    adminKey: env.ADMIN_KEY,
    hubSecret: env.HUB_SECRET,
    webhookAllowHosts: env.WEBHOOK_ALLOW_HOSTS,
    hubHosts: env.HUB_HOSTS,
    dnsResolver: env.DNS_RESOLVER ?? DEFAULT_RESOLVER,
    corsOrigins: env.CORS_ORIGINS ?? '',
  };
}

async function feedOf(log: Pick<Fetcher, 'fetch'>): Promise<Socket | null> {
  const { webSocket } = await log.fetch('https://log/feed', { headers: { upgrade: 'websocket' } });
  if (webSocket === null) return null;
  return openSocket(webSocket);
}
