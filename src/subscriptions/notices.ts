import { uuidv7 } from '../events/ids.ts';
import { type MadeEvent, packEvents } from '../events/new-event.ts';
import { formatTime } from '../events/times.ts';
import type { Core } from './core.ts';

/** The hub's own topic. */
const SYSTEM_TOPIC = 'millrace.system';

/** What the hub tells of the subscription on its own topic, through an outbox. */
export class Notices {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Ends deliveries until a person resumes them or gives another url, and says so. Only inside `tx`. */
  disable(reason: string): void {
    const now = this.#core.now();
    this.#core.setRow({ disabled_reason: reason, updated_at: now, probe_at: null, streak: 0, failing_since: null });
    const { name, random } = this.#core.ports;
    const id = uuidv7(now, random.bytes(10));
    const data = { subscription: name, reason };
    const event = notice({ id, name, type: 'millrace.subscription.disabled', time: formatTime(now), data });
    this.#core.sql.addNotice(id, JSON.stringify(event));
  }

  /** Publishes the first notice; false if there is none. Repeating it appends nothing. @throws if the log fails */
  async publish(): Promise<boolean> {
    const first = this.#core.sql.notice();
    if (!first) return false;
    const event = { ...(JSON.parse(first.event) as MadeEvent), id: first.id };
    const result = await this.#core.ask(SYSTEM_TOPIC, (log) =>
      log.append({ v: 1, events: packEvents([event]), expectedLastSequence: null, create: true }),
    );
    if (result.outcome !== 'appended') this.#core.warn('a notice was refused', { outcome: result.outcome });
    this.#core.tx(() => this.#core.sql.deleteNotice(first.id));
    return true;
  }
}

function notice(of: { id: string; name: string; type: string; time: string; data: unknown }): MadeEvent {
  const { id, name, type, time, data } = of;
  const source = `/subscriptions/${name}`;
  const datacontenttype = 'application/json';
  const json = JSON.stringify({ specversion: '1.0', id, source, type, subject: name, time, datacontenttype, data });
  return { id, source, key: name, json };
}
