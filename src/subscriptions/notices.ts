import { uuidv7 } from '../events/ids.ts';
import { newEvent } from '../events/new-event.ts';
import { formatTime } from '../events/times.ts';
import type { NewEvent } from '../topics/protocol.ts';
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
    const data = { subscription: name, reason };
    const { id, event } = newEvent(
      {
        id: null,
        source: `/subscriptions/${name}`,
        type: 'millrace.subscription.disabled',
        subject: name,
        time: null,
        datacontenttype: 'application/json',
        dataschema: null,
        partitionkey: null,
        extensions: [],
      },
      { kind: 'json', text: JSON.stringify(data), value: data, inexact: [] },
      { topic: SYSTEM_TOPIC, time: formatTime(now), makeId: () => uuidv7(now, random.bytes(10)) },
    );
    this.#core.sql.addNotice(id, JSON.stringify(event));
  }

  /** Publishes the first notice; false if there is none. Repeating it appends nothing. @throws if the log fails */
  async publish(): Promise<boolean> {
    const notice = this.#core.sql.notice();
    if (!notice) return false;
    const event = JSON.parse(notice.event) as NewEvent;
    const result = await this.#core.ask(SYSTEM_TOPIC, (log) =>
      log.append({ v: 1, events: [event], expectedLastSequence: null, create: true }),
    );
    if (result.outcome !== 'appended') this.#core.warn('a notice was refused', { outcome: result.outcome });
    this.#core.tx(() => this.#core.sql.deleteNotice(notice.id));
    return true;
  }
}
