import { Catalog } from './catalog/catalog.ts';
import { sweep } from './catalog/sweep.ts';
import { DeadLetters } from './dead-letters/letters.ts';
import { trim } from './dedup/trim.ts';
import { bindingsOf } from './deliveries/bindings.ts';
import { deliverLease } from './deliveries/consumer.ts';
import { drain, isQueued } from './deliveries/drained.ts';
import { handleHandshake, isHandshakeMessage, namedHub } from './deliveries/handshake.ts';
import { sealsOf } from './deliveries/seal.ts';
import { DEFAULT_RESOLVER, urlGuard } from './deliveries/url-guard.ts';
import type { Env } from './env.ts';
import { handleRequest } from './http/app.ts';
import { subscriptionName, topicLogName } from './object-names.ts';
import { clock, hmacUnder, log } from './platform-workers.ts';
import { VERSION } from './version.ts';

/** The only file that exports to the platform. */

export { QuotaObject } from './quotas/object.ts';
export { SubscriptionObject } from './subscriptions/object.ts';
export { TopicLogObject } from './topics/object.ts';

export default {
  fetch: handleRequest,

  /**
   * The hub's own queues, and the dead letter queues of consumers' queues. A message of its own is acknowledged whatever
   * becomes of it: the Subscription sends what matters again.
   */
  async queue(batch, env, ctx) {
    const ports = {
      subscription: (name: string) => env.SUBSCRIPTION.getByName(subscriptionName(name)),
      topic: (name: string) => env.TOPIC_LOG.getByName(topicLogName(name)),
      letters: new DeadLetters(env.DB),
      fetch: (url: string, init: RequestInit) => fetch(url, init),
      bindings: bindingsOf(env),
      seals: sealsOf(env.HUB_SECRET ?? '', hmacUnder),
      clock,
      log,
      guard: urlGuard(
        {
          allowHosts: env.WEBHOOK_ALLOW_HOSTS,
          hubHosts: env.HUB_HOSTS,
          resolver: env.DNS_RESOLVER ?? DEFAULT_RESOLVER,
        },
        { fetch: (url, init) => fetch(url, init), clock },
      ),
      version: VERSION,
      hub: namedHub(env.HUB_HOSTS),
    };
    const drained: Promise<void>[] = [];
    // Not awaited: where the platform lets the next message start before this one's waitUntil is done, it should.
    for (const message of batch.messages) {
      const { body } = message;
      if (isQueued(body)) {
        drained.push(drain(body, message, ports));
        continue;
      }
      ctx.waitUntil(isHandshakeMessage(body) ? handleHandshake(body, ports) : deliverLease(body, ports));
      message.ack();
    }
    await Promise.all(drained);
  },

  async scheduled(_controller, env, ctx) {
    ctx.waitUntil(trim({ db: env.DB, now: clock.now, log }));
    ctx.waitUntil(
      sweep({
        catalog: new Catalog(env.DB),
        subscription: (name) => env.SUBSCRIPTION.getByName(subscriptionName(name)),
        topic: (name) => env.TOPIC_LOG.getByName(topicLogName(name)),
        now: clock.now,
        log,
      }),
    );
  },
} satisfies ExportedHandler<Env, unknown>;
