import { uuidv7 } from '../events/ids.ts';
import { isReservedTopic } from '../events/names.ts';
import type { SystemEventData, SystemEventType } from '../system/shapes.ts';
import { NOTICES_AT_ONCE, tell } from '../system/telling.ts';
import { CHORE_TIMEOUT_MS, TOPIC_FILLING_AGAIN_BYTES, TOPIC_FILLING_BYTES, TOPIC_FULL_BYTES } from './limits.ts';
import type { TopicLogParts } from './parts.ts';
import type { MetaRow } from './rows.ts';
import { withTimeout } from './timeout.ts';

/** What the hub tells of a topic on its own: an outbox, told in order, each once. Of its own topics it tells nothing. */

/** Owes a system event. Part of a transaction. */
export function owe<Type extends SystemEventType>(parts: TopicLogParts, type: Type, data: SystemEventData<Type>): void {
  const { ports, sql, alarm } = parts;
  if (isReservedTopic(ports.topic)) return;
  const at = ports.clock.now();
  sql.addNotice({ id: uuidv7(at, ports.random.bytes(10)), type, at, data: JSON.stringify(data) });
  alarm.need(at);
}

/**
 * Says once that the topic fills up, and again only after it was well below. Part of a transaction; answers the columns of
 * `meta` that changed.
 *
 * @param bytes on disk
 */
export function watchSize(parts: TopicLogParts, bytes: number): Partial<MetaRow> {
  const { ports, sql, state } = parts;
  const told = state.meta().filling_told === 1;
  const fillingBytes = ports.fillingBytes ?? TOPIC_FILLING_BYTES;
  if (told ? bytes >= Math.min(fillingBytes, TOPIC_FILLING_AGAIN_BYTES) : bytes < fillingBytes) return {};
  const columns = { filling_told: told ? 0 : 1 };
  sql.setMeta(columns);
  if (!told) {
    const fullAtBytes = ports.fullBytes ?? TOPIC_FULL_BYTES;
    owe(parts, 'millrace.topic.filling', { topic: ports.topic, bytes, fullAtBytes });
  }
  return columns;
}

/** Tells all that is owed. @throws if the hub's own topic can't be reached */
export async function tellOwed({ ports, sql, transaction }: TopicLogParts): Promise<void> {
  for (;;) {
    const rows = sql.notices(NOTICES_AT_ONCE);
    const last = rows.at(-1);
    if (last === undefined) return;
    const teller = { kind: 'topic' as const, name: ports.topic };
    const telling = tell(rows, teller, (request) => ports.systemLog().append(request));
    if (!(await withTimeout(ports.clock, telling, CHORE_TIMEOUT_MS, 'The topic millrace.system'))) {
      ports.log('warn', 'Notices were dropped: the topic millrace.system is full.', {
        topic: ports.topic,
        notices: rows.length,
      });
    }
    transaction(() => sql.deleteNotices(last.position));
  }
}
