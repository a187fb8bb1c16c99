import type { DeliveryStatus, DeliveryView } from '../subscriptions/protocol-views.ts';
import { sleep } from '../tails/waiting.ts';
import { CALLS_AT_ONCE } from './bounded.ts';

/** Following the deliveries of one event until none is open. Times are milliseconds. */

/** A stream follows for this long, and makes this many calls; then it ends, and a browser comes back by itself. */
export const FOLLOW_MAX_MS = 15 * 60_000;
export const FOLLOW_CALLS_MAX = 800;
/** Each open delivery is looked at this often at least; up to 16 at once are told of as they change. */
export const FOLLOW_ROUND_MS = 20_000;
/** A retry that is due later than this is not waited for in its subscription, which is billed as long as somebody waits there. */
const DUE_SOON_MS = FOLLOW_ROUND_MS;
/** But looked at this often. */
const DUE_LATE_LOOK_MS = 60_000;
/** After an answer that did not come, or came too soon. */
const AGAIN_MS = 1_000;

export interface Following {
  now(): number;
  /** The delivery as soon as it differs from what is known, else when the time is up. */
  ask(subscription: string, known: DeliveryView, waitMs: number): Promise<DeliveryView>;
  changed(subscription: string, view: DeliveryView): void;
  stop: AbortSignal;
}

const OPEN: ReadonlySet<DeliveryStatus> = new Set(['pending', 'held', 'delivering', 'retrying']);

interface Followed {
  subscription: string;
  view: DeliveryView;
  /** Not to be asked for before. */
  notBefore: number;
}

/**
 * Follows deliveries until none is open: true. False where it was stopped, or used up its time or its calls. Those that
 * wait longest are asked for first, so that every one has its turn however many there are.
 */
export async function follow(views: ReadonlyMap<string, DeliveryView>, following: Following): Promise<boolean> {
  const { now, stop } = following;
  const until = now() + FOLLOW_MAX_MS;
  const waiting: Followed[] = [];
  let open = 0;
  let calls = 0;
  for (const [subscription, view] of views) {
    if (!isOpen(view)) continue;
    open += 1;
    waiting.push({ subscription, view, notBefore: nextLook(view, now()) });
  }
  const workers = Math.min(CALLS_AT_ONCE, open);
  const goesOn = () => !stop.aborted && calls < FOLLOW_CALLS_MAX && now() < until;
  const work = async () => {
    while (goesOn()) {
      const next = takeFirst(waiting);
      if (next === undefined) return;
      await sleep(Math.min(next.notBefore, until) - now(), stop);
      if (!goesOn()) return;
      calls += 1;
      const waitMs = isDueLate(next.view, now()) ? 0 : Math.ceil((FOLLOW_ROUND_MS * workers) / open);
      const view = await look(next, waitMs, following);
      if (isOpen(view.view)) waiting.push(view);
      else open -= 1;
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return open === 0;
}

async function look({ subscription, view: known }: Followed, waitMs: number, following: Following): Promise<Followed> {
  const { now, ask, changed, stop } = following;
  const askedAt = now();
  const again = () => ({ subscription, view: known, notBefore: now() + AGAIN_MS });
  try {
    const view = await ask(subscription, known, waitMs);
    const hasChanged = JSON.stringify(view) !== JSON.stringify(known);
    if (hasChanged && !stop.aborted) changed(subscription, view);
    // Too many wait there, or it is of another version.
    if (!hasChanged && now() - askedAt < waitMs / 2) return again();
    return { subscription, view, notBefore: nextLook(view, now()) };
  } catch {
    return again();
  }
}

function isOpen({ status }: DeliveryView): boolean {
  return OPEN.has(status);
}

function isDueLate({ status, nextAttemptAt }: DeliveryView, now: number): boolean {
  return status === 'retrying' && nextAttemptAt !== null && nextAttemptAt > now + DUE_SOON_MS;
}

function nextLook(view: DeliveryView, now: number): number {
  return isDueLate(view, now) ? Math.min(view.nextAttemptAt ?? now, now + DUE_LATE_LOOK_MS) : now;
}

function takeFirst(waiting: Followed[]): Followed | undefined {
  const first = waiting.reduce<Followed | undefined>(
    (earliest, one) => (earliest === undefined || one.notBefore < earliest.notBefore ? one : earliest),
    undefined,
  );
  if (first !== undefined) waiting.splice(waiting.indexOf(first), 1);
  return first;
}
