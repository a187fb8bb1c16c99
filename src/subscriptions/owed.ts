import type { Attaching } from './attaching.ts';
import type { Chore } from './chores.ts';
import type { Configuration } from './configuration.ts';
import type { Core } from './core.ts';
import type { LetterWork } from './letter-work.ts';
import { REDRIVEN_MAX, WATCHDOG_MS } from './limits.ts';
import type { Notices } from './notices.ts';
import type { Replays } from './replays.ts';

interface Workers {
  configuration: Configuration;
  attaching: Attaching;
  letterWork: LetterWork;
  replays: Replays;
  notices: Notices;
}

/** All that a Subscription may owe to D1 and to the logs. */
export function chores(core: Core, workers: Workers): Chore[] {
  const { sql } = core;
  const { configuration, attaching, letterWork, replays, notices } = workers;
  const when = (owed: boolean, now: number) => (owed ? now : null);
  // This is asked in every transaction.
  const { outbox } = sql.memories;
  const hasAttaching = outbox.remembered(() => sql.attachingAfter(0, 1).length > 0);
  const firstDetachment = outbox.remembered(() => sql.firstDetachment());
  const hasDirtyLetters = outbox.remembered(() => sql.hasDirtyLetters());
  const job = outbox.remembered(() => sql.job());
  const unmirrored = outbox.remembered(() => sql.unmirrored());
  return [
    {
      name: 'mirror',
      owed: (now) => when(core.row?.mirror_dirty === 1, now),
      step: () => configuration.mirror(),
    },
    {
      name: 'follow-patterns',
      // Topics are held against the patterns only once the catalogue has these.
      owed: (now) => when(core.present?.row.attach_after != null && core.row?.mirror_dirty === 0, now),
      step: () => attaching.followPatterns(),
    },
    { name: 'attach-again', owed: (now) => when(hasAttaching(), now), step: () => attaching.attachAgain() },
    { name: 'detach', owed: () => firstDetachment()?.due ?? null, step: () => attaching.detach() },
    { name: 'letters', owed: (now) => when(hasDirtyLetters(), now), step: () => letterWork.flush() },
    {
      name: 'jobs',
      owed: (now) => {
        if (!core.present || !job()) return null;
        return sql.hasRedriven(REDRIVEN_MAX) || core.tooManyExceptions ? now + WATCHDOG_MS : now;
      },
      step: () => letterWork.jobStep(),
    },
    { name: 'replays', owed: (now) => when(unmirrored() !== null, now), step: () => replays.mirror() },
    { name: 'notices', owed: (now) => notices.nextDue(now), step: () => notices.publish() },
  ];
}
