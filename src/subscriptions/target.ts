import { originOf } from './consent.ts';
import type { Core } from './core.ts';
import type { DeliveryTarget } from './protocol-claims.ts';
import type { Secrets } from './secrets.ts';

/** Where and how deliveries go at present. @throws if there is no subscription */
export function presentTarget(core: Core, secrets: Secrets): DeliveryTarget {
  const { delivery, transform } = core.document;
  switch (delivery.kind) {
    case 'webhook': {
      const { kind, url, format, timeoutMs, headers, maxBatch } = delivery;
      const origin = core.present && originOf(core.present);
      const target = { kind, url, format, timeoutMs, headers, secrets: secrets.all(), maxBatch, transform };
      return origin === null ? target : { ...target, origin };
    }
    case 'queue':
      return { kind: 'queue', binding: delivery.binding, confirm: delivery.confirm, transform };
    case 'service': {
      const { kind, binding, call, timeoutMs, maxBatch } = delivery;
      return { kind, binding, call, timeoutMs, maxBatch, transform };
    }
    case 'pull':
      return { kind: 'pull', transform };
  }
}
