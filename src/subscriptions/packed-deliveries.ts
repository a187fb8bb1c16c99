import { parseAckId } from './ack-ids.ts';
import type { PulledDelivery } from './protocol-acks.ts';

/*
 * Deliveries on their way to who pulls, as he is given them: a line of JSON each, with the event as it is stored, which has no
 * line break in it. One string crosses between objects and Workers in a fraction of the time of a hundred objects.
 */

const EVENT = ',"event":';

export function packed(deliveries: readonly PulledDelivery[]): string {
  const lines = deliveries.map(
    ({ ackId, attempt, replay, redriven, json }) =>
      `{"ackId":"${ackId}","attempt":${attempt},"replay":${JSON.stringify(replay)},"redriven":${redriven}${EVENT}${json}}`,
  );
  return lines.join('\n');
}

/** @throws if it was not packed here */
export function unpacked(lines: string): PulledDelivery[] {
  return lines === '' ? [] : lines.split('\n').map(delivery);
}

function delivery(line: string): PulledDelivery {
  // No string of JSON before it has a quote in it that is not escaped.
  const at = line.indexOf(EVENT);
  const head: Omit<PulledDelivery, 'sequence' | 'json'> = JSON.parse(`${line.slice(0, at)}}`);
  const id = parseAckId(head.ackId);
  if (id === null) throw new Error('A delivery has an ack id that is none.');
  return { ...head, sequence: id.sequence, json: line.slice(at + EVENT.length, -1) };
}

/** The JSON array of them. */
export function asArray(lines: string): string {
  return `[${lines.replaceAll('\n', ',')}]`;
}
