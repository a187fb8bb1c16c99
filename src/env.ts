import type { QuotaObject } from './quotas/object.ts';
import type { SubscriptionObject } from './subscriptions/object.ts';
import type { HandshakeMessage } from './subscriptions/protocol.ts';
import type { LeaseMessage } from './subscriptions/protocol-claims.ts';
import type { TopicLogObject } from './topics/object.ts';

/** The Worker's bindings, as wrangler.toml declares them. */
export interface Env {
  TOPIC_LOG: DurableObjectNamespace<TopicLogObject>;
  SUBSCRIPTION: DurableObjectNamespace<SubscriptionObject>;
  QUOTA: DurableObjectNamespace<QuotaObject>;
  DB: D1Database;
  DELIVERIES: Queue<LeaseMessage>;
  RETRIES: Queue<LeaseMessage | HandshakeMessage>;
  /** Hosts that webhooks may reach although the URL guard would refuse them: `host` or `host:port`, comma separated. */
  WEBHOOK_ALLOW_HOSTS: string;
  /** The hub's own public host names, comma separated. */
  HUB_HOSTS: string;
  /** URL of the resolver (DNS over HTTPS) that webhooks' names are looked up by; empty: they aren't. */
  DNS_RESOLVER?: string;
  /** Origins whose pages may call the hub, comma separated; `*`: any. */
  CORS_ORIGINS?: string;
  ADMIN_KEY?: string;
  HUB_SECRET?: string;
}
