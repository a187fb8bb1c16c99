import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import { clock } from '../platform-workers.ts';
import { QuotaCounter, type Used } from './counter.ts';
import type { QuotaApi, TakeRequest, TakeResult } from './protocol.ts';

const KEY = 'used';

/** The Durable Object of one key that has a quota: it gives a QuotaCounter its ports and passes calls on. */
export class QuotaObject extends DurableObject<Env> implements QuotaApi {
  readonly #counter: QuotaCounter;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { storage } = ctx;
    this.#counter = new QuotaCounter({
      clock,
      background: (task) => ctx.waitUntil(task),
      stored: {
        get: () => storage.kv.get<Used>(KEY),
        put: (used) => storage.kv.put(KEY, used),
        clear: () => storage.deleteAll(),
      },
    });
  }

  take(request: TakeRequest): Promise<TakeResult> {
    return this.#counter.take(request);
  }

  giveBack(request: { v: 1; window: number; count: number }): Promise<void> {
    return this.#counter.giveBack(request);
  }

  forget(): Promise<void> {
    return this.#counter.forget();
  }
}
