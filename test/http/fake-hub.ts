import { type Mock, vi } from 'vitest';
import { signingKeys, signKey } from '../../src/access/key-tokens.ts';
import { serve } from '../../src/http/app.ts';
import type { Hub } from '../../src/http/hub.ts';
import type { QuotaApi } from '../../src/quotas/protocol.ts';
import type { SubscriptionApi } from '../../src/subscriptions/protocol.ts';
import type { TopicLogApi } from '../../src/topics/protocol.ts';
import { FakeBindings } from '../support/fake-bindings.ts';
import { NodeD1 } from '../support/node-d1.ts';
import { sealsUnder } from '../support/seals.ts';

/** Every call of an interface as a mock that answers `undefined` until a test says otherwise. */
type Mocked<T> = { [K in keyof T]: T[K] extends (...args: never[]) => unknown ? Mock<T[K]> : never };

export class FakeSubscription implements Mocked<SubscriptionApi> {
  put = vi.fn<SubscriptionApi['put']>();
  describe = vi.fn<SubscriptionApi['describe']>().mockResolvedValue(null);
  configuration = vi.fn<SubscriptionApi['configuration']>().mockResolvedValue(null);
  remove = vi.fn<SubscriptionApi['remove']>().mockResolvedValue(false);
  pause = vi.fn<SubscriptionApi['pause']>().mockResolvedValue(null);
  resume = vi.fn<SubscriptionApi['resume']>().mockResolvedValue(null);
  seek = vi.fn<SubscriptionApi['seek']>();
  topics = vi.fn<SubscriptionApi['topics']>().mockResolvedValue(null);
  secret = vi.fn<SubscriptionApi['secret']>().mockResolvedValue(null);
  rotateSecret = vi.fn<SubscriptionApi['rotateSecret']>().mockResolvedValue(null);
  reseal = vi.fn<SubscriptionApi['reseal']>().mockResolvedValue(null);
  target = vi.fn<SubscriptionApi['target']>().mockResolvedValue(null);
  consentRequest = vi.fn<SubscriptionApi['consentRequest']>().mockResolvedValue(null);
  consentAnswer = vi.fn<SubscriptionApi['consentAnswer']>().mockResolvedValue(false);
  attempts = vi.fn<SubscriptionApi['attempts']>().mockResolvedValue(null);
  delivery = vi.fn<SubscriptionApi['delivery']>();
  deliveryOtherThan = vi.fn<SubscriptionApi['deliveryOtherThan']>();
  wake = vi.fn<SubscriptionApi['wake']>();
  topicAppeared = vi.fn<SubscriptionApi['topicAppeared']>();
  overtake = vi.fn<SubscriptionApi['overtake']>();
  claim = vi.fn<SubscriptionApi['claim']>();
  settle = vi.fn<SubscriptionApi['settle']>();
  consumerDied = vi.fn<SubscriptionApi['consumerDied']>();
  pull = vi.fn<SubscriptionApi['pull']>();
  hangUp = vi.fn<SubscriptionApi['hangUp']>();
  ack = vi.fn<SubscriptionApi['ack']>();
  nack = vi.fn<SubscriptionApi['nack']>();
  extend = vi.fn<SubscriptionApi['extend']>();
  startReplay = vi.fn<SubscriptionApi['startReplay']>();
  replay = vi.fn<SubscriptionApi['replay']>().mockResolvedValue(null);
  changeReplay = vi.fn<SubscriptionApi['changeReplay']>().mockResolvedValue(null);
  cancelReplay = vi.fn<SubscriptionApi['cancelReplay']>().mockResolvedValue(false);
  redrive = vi.fn<SubscriptionApi['redrive']>().mockResolvedValue(false);
  discard = vi.fn<SubscriptionApi['discard']>().mockResolvedValue(false);
  startJob = vi.fn<SubscriptionApi['startJob']>().mockResolvedValue(false);
  metrics = vi.fn<SubscriptionApi['metrics']>().mockResolvedValue(null);
  sweep = vi.fn<SubscriptionApi['sweep']>();
}

export class FakeTopic implements Mocked<TopicLogApi> {
  append = vi.fn<TopicLogApi['append']>();
  read = vi.fn<TopicLogApi['read']>();
  event = vi.fn<TopicLogApi['event']>().mockResolvedValue({ outcome: 'unknown-topic' });
  eventsAt = vi.fn<TopicLogApi['eventsAt']>();
  readKeys = vi.fn<TopicLogApi['readKeys']>();
  describe = vi.fn<TopicLogApi['describe']>().mockResolvedValue(null);
  configure = vi.fn<TopicLogApi['configure']>();
  remove = vi.fn<TopicLogApi['remove']>();
  resolve = vi.fn<TopicLogApi['resolve']>();
  attach = vi.fn<TopicLogApi['attach']>();
  detach = vi.fn<TopicLogApi['detach']>();
  readOrPark = vi.fn<TopicLogApi['readOrPark']>();
  unpark = vi.fn<TopicLogApi['unpark']>();
  standing = vi.fn<TopicLogApi['standing']>();
  subscribers = vi.fn<TopicLogApi['subscribers']>().mockResolvedValue([]);
  metrics = vi.fn<TopicLogApi['metrics']>().mockResolvedValue(null);
  sweep = vi.fn<TopicLogApi['sweep']>();
}

export class FakeQuota implements Mocked<QuotaApi> {
  take = vi.fn<QuotaApi['take']>();
  giveBack = vi.fn<QuotaApi['giveBack']>().mockResolvedValue(undefined);
  forget = vi.fn<QuotaApi['forget']>().mockResolvedValue(undefined);
}

const ADMIN_KEY = 'test-admin-key';
const HUB_SECRET = 'dGVzdC1odWItc2VjcmV0LW9mLTMyLWJ5dGVzLWxvbmc=';

/** The whole HTTP interface over fakes: D1 is SQLite, topics and subscriptions are mocks made when first asked for. */
export class FakeHub {
  readonly d1 = NodeD1.migrated();
  readonly subscriptions = new Map<string, FakeSubscription>();
  readonly topics = new Map<string, FakeTopic>();
  readonly quotas = new Map<string, FakeQuota>();
  readonly fetch = vi.fn<typeof fetch>();
  readonly bindings = new FakeBindings();
  readonly background: Promise<unknown>[] = [];
  readonly logged: string[] = [];
  now = Date.UTC(2026, 10, 23, 20);
  hubHosts = '';

  subscription(name: string): FakeSubscription {
    return made(this.subscriptions, name, () => new FakeSubscription());
  }

  topic(name: string): FakeTopic {
    return made(this.topics, name, () => new FakeTopic());
  }

  quota(keyId: string): FakeQuota {
    return made(this.quotas, keyId, () => new FakeQuota());
  }

  get hub(): Hub {
    return {
      topic: (name) => this.topic(name),
      subscription: (name) => this.subscription(name),
      quota: (keyId) => this.quota(keyId),
      feed: async () => null,
      upgrade: () => new Response(null),
      db: this.d1,
      now: () => this.now,
      random: { fraction: () => 0.5, bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
      background: (task) => void this.background.push(task),
      log: (_level, message) => void this.logged.push(message),
      fetch: this.fetch,
      bindings: this.bindings,
      seals: () => sealsUnder(HUB_SECRET),
      adminKey: ADMIN_KEY,
      hubSecret: HUB_SECRET,
      webhookAllowHosts: 'localhost',
      hubHosts: this.hubHosts,
      dnsResolver: '',
      corsOrigins: '',
    };
  }

  /** A key with these scopes. */
  keyWith(...scopes: string[]): string {
    const keys = signingKeys(HUB_SECRET);
    if (keys === null) throw new Error('HUB_SECRET is malformed');
    return signKey({ id: scopes.join(), name: 'tester', scopes, expiresAt: null, quota: null }, keys);
  }

  /** `body` is sent as JSON. Without a key: the admin's. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    options: { key?: string; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; body: Answer; headers: Headers; text: string }> {
    const request = new Request(`https://hub.example.com${path}`, {
      method,
      headers: {
        authorization: `Bearer ${options.key ?? ADMIN_KEY}`,
        'content-type': 'application/json',
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const response = await serve(request, this.hub);
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text), headers: response.headers, text };
  }
}

/** A JSON object as a test looks into it. */
export type Answer = Record<string, unknown>;

function made<T>(map: Map<string, T>, name: string, make: () => T): T {
  const known = map.get(name);
  if (known !== undefined) return known;
  const fresh = make();
  map.set(name, fresh);
  return fresh;
}
