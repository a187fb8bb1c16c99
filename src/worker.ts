import { Catalog } from './catalog/catalog.ts';
import { sweep } from './catalog/sweep.ts';
import { trim } from './dedup/trim.ts';
import { deliverLease } from './deliveries/consumer.ts';
import { handleHandshake, isHandshakeMessage, namedHub } from './deliveries/handshake.ts';
import { DEFAULT_RESOLVER, urlGuard } from './deliveries/url-guard.ts';
import type { Env } from './env.ts';
import { handleRequest } from './http/app.ts';
import { clock, log } from './platform-workers.ts';
import { subscriptionName } from './subscriptions/names.ts';
import type { HandshakeMessage, LeaseMessage } from './subscriptions/protocol.ts';
import { topicLogName } from './topics/names.ts';
import { VERSION } from './version.ts';

/** The only file that exports to the platform. */

export { QuotaObject } from './quotas/object.ts';
export { SubscriptionObject } from './subscriptions/object.ts';
export { TopicLogObject } from './topics/object.ts';

export default {
  fetch: handleRequest,

  /** Both queues. A message is acknowledged whatever becomes of it: the Subscription sends what matters again. */
  async queue(batch, env, ctx) {
    const ports = {
      subscription: (name: string) => env.SUBSCRIPTION.getByName(subscriptionName(name)),
      fetch: (url: string, init: RequestInit) => fetch(url, init),
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
    // Not awaited: where the platform lets the next message start before this one's waitUntil is done, it should.
    for (const message of batch.messages) {
      const { body } = message;
      ctx.waitUntil(isHandshakeMessage(body) ? handleHandshake(body, ports) : deliverLease(body, ports));
      message.ack();
    }
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
} satisfies ExportedHandler<Env, LeaseMessage | HandshakeMessage>;
