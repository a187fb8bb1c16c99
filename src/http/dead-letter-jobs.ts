import { DeadLetters, type LetterCount, type LetterFilter } from '../dead-letters/letters.ts';
import { base32 } from '../events/ids.ts';
import type { LetterJob } from '../subscriptions/protocol.ts';
import { mapBounded } from './bounded.ts';
import type { Context } from './context.ts';
import { Problem } from './problem.ts';
import { subscriptionGone } from './subscription-problems.ts';

const JOB_ID_BYTES = 16;

/**
 * Redrives or discards what the filter matches, as far as the key may read it: one job for each subscription and topic
 * that has such letters, all under one id before the topic's name. Letters whose subscription is gone can only be discarded, which is done here.
 *
 * @throws Problem `filter-required`; `unknown-subscription` where only that of a deleted one was asked for
 */
export async function startJobs(
  action: LetterJob['action'],
  filter: LetterFilter,
  context: Context,
): Promise<{ job: string; count: number }> {
  const { state: _, ...asked } = filter;
  if (Object.values(asked).every((value) => value === null)) {
    throw new Problem('filter-required', `Say which to ${action}: subscription, topic, reason, since or until.`, {
      errors: Object.keys(asked).map((path) => ({ path, message: 'is one of those of which one is required' })),
    });
  }
  const { hub } = context;
  const letters = new DeadLetters(hub.db);
  const job = `job_${base32(hub.random.bytes(JOB_ID_BYTES))}`;
  const readable = (await letters.counts(filter)).filter(({ topic }) => context.may({ scope: 'read', on: topic }));
  const taken = await mapBounded(readable, async ({ subscription, topic, count }: LetterCount) => {
    const { reason, since, until } = filter;
    const one = { id: `${job}.${topic}`, action, topic, reason, since, until };
    if (await hub.subscription(subscription).startJob(one)) return count;
    return action === 'discard' ? letters.discardOrphans(subscription, { ...filter, topic }, hub.now()) : null;
  });
  if (filter.subscription !== null && taken.length > 0 && taken.every((count) => count === null)) {
    throw subscriptionGone(filter.subscription);
  }
  return { job, count: taken.reduce((sum: number, count) => sum + (count ?? 0), 0) };
}
