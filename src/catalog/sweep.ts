import type { Log } from '../platform.ts';
import type { SubscriptionApi } from '../subscriptions/protocol.ts';
import type { TopicLogApi } from '../topics/protocol.ts';
import type { Catalog } from './catalog.ts';

/**
 * The cron's part in "nobody stops in silence": it wakes the subscriptions that say they are stalled, and a slice of all
 * others and of the topics, so that each is looked at once a day whatever it says about itself.
 */
export interface SweepPorts {
  catalog: Pick<Catalog, 'subscriptionsToSweep' | 'topicsToSweep'>;
  subscription: (name: string) => Pick<SubscriptionApi, 'sweep'>;
  topic: (name: string) => Pick<TopicLogApi, 'sweep'>;
  now: () => number;
  log: Log;
}

export interface SweepResult {
  swept: number;
  /** Subscriptions that had stopped and go on now. */
  healed: number;
  failed: number;
}

/**
 * Objects of each kind in one sweep. One a minute: 432,000 topics a day, and at least half as many subscriptions beside the
 * stalled ones, within the platform's 1,000 calls an invocation.
 */
export const SWEPT_AT_ONCE_MAX = 300;
const SWEEP_EVERY_MS = 24 * 3_600_000;
const CONCURRENCY = 6;

/** Never throws: what can't be reached is logged, counted, and swept again. */
export async function sweep(ports: SweepPorts): Promise<SweepResult> {
  const result: SweepResult = { swept: 0, healed: 0, failed: 0 };
  await sweepKind('subscription', ports, result, async (name) => {
    if (!(await ports.subscription(name).sweep())) return;
    result.healed += 1;
    ports.log('warn', 'A subscription had stopped and was woken.', { subscription: name });
  });
  await sweepKind('topic', ports, result, (name) => ports.topic(name).sweep());
  ports.log('info', 'Swept.', { ...result });
  return result;
}

async function sweepKind(
  kind: 'subscription' | 'topic',
  ports: SweepPorts,
  result: SweepResult,
  sweepOne: (name: string) => Promise<void>,
): Promise<void> {
  let names: string[];
  try {
    names = await namesToSweep(kind, ports);
  } catch (error) {
    result.failed += 1;
    ports.log('error', `The catalogue could not be asked which ${kind}s to sweep.`, { error });
    return;
  }
  const queue = names.values();
  const worker = async () => {
    // One iterator shared by all workers: each name is taken once.
    for (const name of queue) {
      try {
        await sweepOne(name);
        result.swept += 1;
      } catch (error) {
        result.failed += 1;
        ports.log('error', `A ${kind} could not be swept.`, { [kind]: name, error });
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function namesToSweep(kind: 'subscription' | 'topic', { catalog, now }: SweepPorts): Promise<string[]> {
  const notSince = now() - SWEEP_EVERY_MS;
  return kind === 'subscription'
    ? catalog.subscriptionsToSweep(now(), notSince, SWEPT_AT_ONCE_MAX)
    : catalog.topicsToSweep(now(), notSince, SWEPT_AT_ONCE_MAX);
}
