/**
 * What an end-to-end test works with: a real hub under `wrangler dev`, real HTTP receivers, and the HTTP interface.
 *
 *     const hub = await startHub();                       // free port, fresh state, its own process group
 *     const billing = await startReceiver();              // answers 200, keeps a book of every request
 *     const { delivery } = await hub.api.putSubscription('billing', {
 *       topics: ['orders'],
 *       delivery: { kind: 'webhook', url: billing.url },
 *     });
 *     billing.secret = delivery.secret ?? null;            // from here on a request that doesn't verify gets a 401
 *     billing.answer = ({ attempt }) => (attempt < 3 ? 503 : 200);   // or 'hang', 'reset', 'endless', { status, headers, body, afterMs }
 *     await hub.api.publish('orders', { type: 'order.created', data: { amount: 1 } });
 *     await eventually('billing has it', () => billing.taken('orders').length === 1);
 *     await hub.kill9();                                  // every process at once, workerd too
 *     await hub.start();                                  // again on the same state, port and secrets
 *     hub.freeze(); hub.thaw();                           // SIGSTOP, SIGCONT
 *     await hub.stop(); await billing.stop();
 *
 * `hub.api.request(method, path, options)` gives any answer as it is, refusals too; the methods with names throw an
 * `ApiError` (with `status` and `code`) for what isn't 2xx. `startHub({ vars: { NAME: 'value' } })` sets the Worker's
 * variables. The hub's output is in `hub.logFile`. Wait for conditions with `eventually`, never for a fixed time.
 * Receivers live in the test's process: kill and freeze don't touch them. Files run one after the other.
 */
import { ApiClient } from '../../../scripts/hub/api-client.ts';
import { type HubOptions, HubProcess } from '../../../scripts/hub/hub-process.ts';
import { Receiver } from '../../../scripts/hub/receiver.ts';
import { migratedState } from './migrated-state.ts';

export { ApiClient, ApiError, type Subscription, secretIn } from '../../../scripts/hub/api-client.ts';
export { eventually } from '../../../scripts/hub/eventually.ts';
export type { HubProcess } from '../../../scripts/hub/hub-process.ts';
export { type Answer, type Arrival, Receiver } from '../../../scripts/hub/receiver.ts';

export interface TestHub extends HubProcess {
  /** With the admin key. */
  readonly api: ApiClient;
}

export async function startHub(options: HubOptions = {}): Promise<TestHub> {
  const hub = await HubProcess.start({ ...options, persistTo: options.persistTo ?? migratedState() });
  return Object.assign(hub, { api: new ApiClient(hub.url, hub.adminKey) });
}

export const startReceiver = Receiver.start;
