import { uuidv7 } from '../events/ids.ts';
import { SYSTEM_TOPIC, type SystemEventData, type SystemEventType } from '../system/shapes.ts';
import { NOTICES_AT_ONCE, tell } from '../system/telling.ts';
import { waitUntil } from './chores.ts';
import type { Core } from './core.ts';
import { DEATHS_TOLD_EVERY_MS } from './limits.ts';
import type { NoticeRow } from './rows.ts';
import { DEAD, withEvents } from './told-deaths.ts';

/** What the hub tells of the subscription on its own topic: an outbox, told in order, each once. */
export class Notices {
  readonly #core: Core;
  /** After deaths the next are told no sooner than this, so that many come together. */
  #quiet: { until: number; delay: number } | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Only inside `tx`. `open`: more will be counted into it until it is told. */
  add<Type extends SystemEventType>(type: Type, data: SystemEventData<Type>, open = false): void {
    const at = this.#core.now();
    const id = uuidv7(at, this.#core.ports.random.bytes(10));
    this.#core.sql.addNotice({ id, type, at, data: JSON.stringify(data), open: open ? 1 : null });
  }

  /** When the next has to be told; null: there is none. */
  nextDue(now: number): number | null {
    return this.#core.sql.hasNotices() ? Math.max(now, waitUntil(this.#quiet, now)) : null;
  }

  /** Tells the first notices; false if there are none. @throws if the hub's own topic can't be reached */
  async publish(): Promise<boolean> {
    const { sql, ports } = this.#core;
    const rows = upToOpen(sql.notices(NOTICES_AT_ONCE));
    const last = rows.at(-1);
    if (!last) return false;
    // From here on it says what it says: after a crash it is told again, and has to be the same.
    if (last.open === 1) this.#core.tx(() => sql.setNotice(last.position, { open: 0 }));
    const whole = await withEvents(this.#core, rows);
    const teller = { kind: 'subscription' as const, name: ports.name };
    const told = await this.#core.ask(SYSTEM_TOPIC, (log) => tell(whole, teller, (request) => log.append(request)));
    if (!told) this.#core.warn('notices were dropped: the topic millrace.system is full', { notices: rows.length });
    if (rows.some(({ type }) => type === DEAD)) {
      this.#quiet = { until: this.#core.now() + DEATHS_TOLD_EVERY_MS, delay: DEATHS_TOLD_EVERY_MS };
    }
    this.#core.tx(() => sql.deleteNotices(last.position));
    return true;
  }
}

/** What comes behind a notice that counted waits until that is told, so that there is never a second closed one. */
function upToOpen(rows: NoticeRow[]): NoticeRow[] {
  const end = rows.findIndex(({ open }) => open !== null);
  return end < 0 ? rows : rows.slice(0, end + 1);
}
