import { z } from 'zod';
import { deadLetterId } from '../events/ids.ts';
import { formatTime } from '../events/times.ts';
import { SYSTEM_TOPIC, type SystemEventData } from '../system/shapes.ts';
import type { Core } from './core.ts';
import { DEATHS_TOLD_SINGLY_MAX } from './limits.ts';
import type { Notices } from './notices.ts';
import type { LetterRow, NoticeRow } from './rows.ts';

/**
 * How deaths are told: the first few that wait each by itself, further ones counted into one notice. However many die, so
 * many rows wait, and so many events come of it a second. Deaths of the hub's own events are not told at all, or one of
 * them would make the next.
 */

export const DEAD = 'millrace.delivery.dead';

type Dead = SystemEventData<typeof DEAD>;
type OneDead = Extract<Dead, { deadLetter: string }>;
type ManyDead = Exclude<Dead, OneDead>;

/** A letter was opened. Only inside `tx`. */
export function tellDeath(core: Core, notices: Notices, letter: LetterRow): void {
  if (letter.topic === SYSTEM_TOPIC) return;
  const { sql, ports } = core;
  const open = sql.openNotice();
  if (open !== null) sql.setNotice(open.position, { data: JSON.stringify(andOneMore(open.data, letter)) });
  else if (sql.countNotices(DEAD, DEATHS_TOLD_SINGLY_MAX) < DEATHS_TOLD_SINGLY_MAX) {
    notices.add(DEAD, oneDead(ports.name, letter));
  } else {
    const since = formatTime(letter.died_at);
    const reasons = { [letter.reason]: 1 };
    notices.add(DEAD, { subscription: ports.name, count: 1, reasons, since, until: since }, true);
  }
}

function oneDead(subscription: string, letter: LetterRow): OneDead {
  return {
    subscription,
    count: 1,
    deadLetter: deadLetterId(subscription, letter.topic, letter.sequence),
    topic: letter.topic,
    sequence: letter.sequence,
    event: letter.event === null ? null : headIn(letter.event),
    reason: letter.reason,
    attempts: letter.attempts,
    lastStatus: letter.last_status,
    lastError: letter.last_error,
  };
}

function andOneMore(before: string, letter: LetterRow): ManyDead {
  const data: ManyDead = JSON.parse(before);
  const reasons = { ...data.reasons, [letter.reason]: (data.reasons[letter.reason] ?? 0) + 1 };
  return { ...data, count: data.count + 1, reasons, until: formatTime(letter.died_at) };
}

/**
 * Notices with what the logs say of the events that died. A log that can't be asked, or has them no more, says nothing: the
 * notice does without.
 */
export async function withEvents(core: Core, rows: readonly NoticeRow[]): Promise<NoticeRow[]> {
  const unknown = rows.flatMap((row) => {
    const death: Dead | null = row.type === DEAD ? JSON.parse(row.data) : null;
    return death !== null && 'deadLetter' in death && death.event === null ? [{ row, death }] : [];
  });
  const topics = Map.groupBy(unknown, ({ death }) => death.topic);
  const heads = new Map<string, OneDead['event']>();
  // At the same time: there are no more topics than deaths that are told of one by one.
  const asked = [...topics].map(async ([topic, deaths]) => {
    const sequences = [...new Set(deaths.map(({ death }) => death.sequence))].sort((a, b) => a - b);
    const { events } = await core.ask(topic, (log) => log.eventsAt(sequences)).catch(() => ({ events: [] }));
    for (const { sequence, json } of events) heads.set(`${topic} ${sequence}`, headIn(json));
  });
  await Promise.all(asked);
  const known = new Map(
    unknown.map(({ row, death }) => [
      row.position,
      JSON.stringify({ ...death, event: heads.get(`${death.topic} ${death.sequence}`) ?? null }),
    ]),
  );
  return rows.map((row) => ({ ...row, data: known.get(row.position) ?? row.data }));
}

const head = z.object({ id: z.string(), source: z.string(), type: z.string() });

function headIn(json: string): OneDead['event'] {
  return head.safeParse(JSON.parse(json)).data ?? null;
}
