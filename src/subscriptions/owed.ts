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
  const now = (owed: boolean, moment: number) => (owed ? moment : null);
  return [
    {
      name: 'mirror',
      owed: (moment) => now(core.row?.mirror_dirty === 1, moment),
      step: () => configuration.mirror(),
    },
    {
      name: 'follow-patterns',
      // Topics are held against the patterns only once the catalogue has these.
      owed: (moment) => now(core.present?.row.attach_after != null && core.row?.mirror_dirty === 0, moment),
      step: () => attaching.followPatterns(),
    },
    {
      name: 'attach-again',
      owed: (moment) => now(sql.attachingAfter(0, 1).length > 0, moment),
      step: () => attaching.attachAgain(),
    },
    { name: 'detach', owed: () => sql.firstDetachment()?.due ?? null, step: () => attaching.detach() },
    { name: 'letters', owed: (moment) => now(sql.hasDirtyLetters(), moment), step: () => letterWork.flush() },
    {
      name: 'jobs',
      owed: (moment) => {
        if (!core.present || !sql.job()) return null;
        return sql.hasRedriven(REDRIVEN_MAX) || core.tooManyExceptions ? moment + WATCHDOG_MS : moment;
      },
      step: () => letterWork.jobStep(),
    },
    { name: 'replays', owed: (moment) => now(sql.unmirrored() !== null, moment), step: () => replays.mirror() },
    { name: 'notices', owed: (moment) => now(sql.notice() !== null, moment), step: () => notices.publish() },
  ];
}
