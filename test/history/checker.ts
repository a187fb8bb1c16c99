import { checkDeliveries, checkFinal, checkLooks, checkReplays, type DeliveryOperations } from './delivery-rules.ts';
import { checkLog } from './log-rules.ts';
import type { History, Publish, Read, Violation } from './operations.ts';
import { checkOrder } from './order-rules.ts';

/**
 * Judges a history by the promises: pure, of the simulation and of real processes alike.
 *
 * @returns every broken rule; empty if the hub kept its word.
 */
export function check(history: History): Violation[] {
  const publishes: Publish[] = [];
  const reads: Read[] = [];
  const removed = new Set<string>();
  const operations: DeliveryOperations = {
    publishes,
    deliveries: [],
    configures: [],
    interventions: [],
    looks: [],
    replays: [],
  };
  for (const operation of history.operations) {
    switch (operation.kind) {
      case 'publish':
        publishes.push(operation);
        break;
      case 'read':
        reads.push(operation);
        break;
      case 'delivery':
        operations.deliveries.push(operation);
        break;
      case 'configure':
        operations.configures.push(operation);
        break;
      case 'intervene':
        operations.interventions.push(operation);
        break;
      case 'look':
        operations.looks.push(operation);
        break;
      case 'replay':
        operations.replays.push(operation);
        break;
      case 'remove-topic':
        removed.add(operation.topic);
        break;
      default:
        operation satisfies never;
    }
  }
  const violations: Violation[] = [];
  const values = checkLog(publishes, reads, removed, violations);
  checkDeliveries(operations, values, removed, violations);
  checkReplays(operations, violations);
  if (history.final !== null) {
    checkOrder(operations.deliveries, operations.configures, history.final.letters, removed, violations);
    checkLooks(operations, history.final.letters, violations);
    for (const subscription of history.final.subscriptions) {
      checkFinal(subscription, operations, history.final.letters, values, violations);
    }
  }
  return violations;
}
