import { topicMatches } from '../../src/events/names.ts';
import type { Configure, Delivery, FinalLetter, Violation } from './operations.ts';

/**
 * What subscriptions with an ordering promise, as their receivers see it: within a key the first arrivals come in order, each
 * only once those before it were taken, and a consumer sends one at a time. Judged where nothing but one ordering was ever
 * asked for, and no cursor was moved: what is given up and taken up again begins where its new start says. An event that
 * died at some time is out of its order.
 */
export function checkOrder(
  deliveries: Delivery[],
  configures: Configure[],
  letters: FinalLetter[],
  removed: ReadonlySet<string>,
  violations: Violation[],
): void {
  const died = new Set(letters.map(({ subscription, topic, sequence }) => `${subscription} ${topic} ${sequence}`));
  const judged = deliveries.filter(({ topic }) => !removed.has(topic));
  for (const [subscription, own] of Map.groupBy(judged, (delivery) => delivery.subscription)) {
    const asked = configures.filter((configure) => configure.subscription === subscription);
    const ordering = onlyOrdering(asked);
    if (ordering === null) continue;
    const isKept = keptTopics(asked);
    for (const [lane, sent] of Map.groupBy(own, (delivery) => laneOf(delivery, ordering))) {
      if (lane === null) continue;
      const sorted = sent.toSorted((a, b) => a.start - b.start);
      checkTurns(`${subscription} ${lane}`, sorted, violations);
      const alive = sorted.filter(
        ({ topic, event, sender }) =>
          isKept(topic) && sender?.redriven === false && !died.has(`${subscription} ${topic} ${event.sequence}`),
      );
      for (const [replay, arrivals] of Map.groupBy(alive, (delivery) => delivery.replay)) {
        checkArrivals(`${subscription} ${lane} ${replay ?? 'live'}`, arrivals, violations);
      }
    }
  }
}

/** The ordering of all configurations, if it is one; null where there was another, or a cursor was moved. */
function onlyOrdering(configures: Configure[]): 'key' | 'topic' | null {
  const asked = configures.filter(({ outcome }) => outcome !== 'failure');
  if (asked.some(({ action }) => action === 'seek' || action === 'delete')) return null;
  const [ordering, ...others] = new Set(asked.filter(({ action }) => action === 'put').map((put) => put.ordering));
  return others.length > 0 || ordering === undefined || ordering === 'none' ? null : ordering;
}

/** Which topics were never given up and taken up again, as far as anybody can tell: a `put` that is unknown may have been. */
function keptTopics(configures: Configure[]): (topic: string) => boolean {
  const puts = configures.filter(({ action, outcome }) => action === 'put' && outcome !== 'failure');
  return (topic) => {
    const names = puts.map(({ topics }) => topics.some((pattern) => topicMatches(pattern, topic)));
    return !names.slice(names.indexOf(true), names.lastIndexOf(true)).includes(false);
  };
}

/** What a delivery is in order within; null: nothing. */
function laneOf({ topic, sender }: Delivery, ordering: 'key' | 'topic'): string | null {
  if (sender === null) return null;
  if (ordering === 'topic') return topic;
  return sender.key === null ? null : `${topic} ${sender.key}`;
}

/** One after the other, and nothing of a key behind what failed, of each invocation of the consumer. */
function checkTurns(lane: string, sent: Delivery[], violations: Violation[]): void {
  for (const [, run] of Map.groupBy(sent, ({ sender }) => sender?.consumer)) {
    run.forEach((delivery, index) => {
      const before = run[index - 1];
      if (before !== undefined && isOneRequest(before, delivery)) return;
      if (before !== undefined && (before.end > delivery.start || before.outcome !== 'success')) {
        violations.push({
          rule: 'one-at-a-time',
          detail: `${lane}: ${delivery.event.sequence} went out before ${before.event.sequence} was taken`,
        });
      }
    });
  }
}

/** Events of one batch, in their order. */
function isOneRequest(before: Delivery, { webhookId, start, event }: Delivery): boolean {
  return before.webhookId === webhookId && before.start === start && before.event.sequence < event.sequence;
}

/** The first of each sequence comes when all lower ones that ever came were taken. */
function checkArrivals(lane: string, arrivals: Delivery[], violations: Violation[]): void {
  const sequences = new Set(arrivals.map(({ event }) => event.sequence));
  const taken = new Set<number>();
  const seen = new Set<number>();
  const ends = arrivals.filter(({ outcome }) => outcome === 'success').toSorted((a, b) => a.start - b.start);
  let ended = 0;
  for (const { event, start, members = [] } of arrivals) {
    for (let end = ends[ended]; end !== undefined && end.start < start; end = ends[ended]) {
      taken.add(end.event.sequence);
      ended += 1;
    }
    if (seen.has(event.sequence)) continue;
    seen.add(event.sequence);
    const missing = [...sequences].find(
      (sequence) => sequence < event.sequence && !taken.has(sequence) && !members.includes(sequence),
    );
    if (missing !== undefined) {
      violations.push({ rule: 'order', detail: `${lane}: ${event.sequence} came before ${missing} was taken` });
    }
  }
}
