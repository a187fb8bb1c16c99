import type { Catalog } from '../catalog/catalog.ts';
import type { DeadLetters } from '../dead-letters/letters.ts';
import type { Background, Clock, Log, ObjectStorage, Random } from '../platform.ts';
import { migrate } from '../storage/migrate.ts';
import type { TopicLogApi } from '../topics/protocol.ts';
import type { SubscriptionDocument } from './document.ts';
import {
  CHORE_RETRY_MAX_MS,
  CHORES_GIVEN_UP_MS,
  CLAIM_LIFE_MS,
  EXCEPTIONS_MAX,
  FIRST_RESEND_MS,
  PROBE_WITHIN_MS,
  RATE_AHEAD_MS,
  RATE_WAIT_MAX_MS,
  WATCHDOG_MS,
} from './limits.ts';
import { MIGRATIONS } from './migrations.ts';
import type { LeaseMessage } from './protocol.ts';
import { longestDelay } from './retry.ts';
import { type Statements, type SubscriptionRow, statements } from './sql.ts';
import type { Sealed, Vault } from './vault.ts';

export interface LeaseQueue {
  send(message: LeaseMessage): Promise<unknown>;
}

/** What a Subscription needs of the platform and of the other rooms. */
export interface SubscriptionPorts {
  name: string;
  storage: ObjectStorage;
  clock: Clock;
  random: Random;
  background: Background;
  log: Log;
  catalog: Catalog;
  letters: DeadLetters;
  vault: Pick<Vault, 'seal' | 'open'>;
  topicLog(topic: string): TopicLogApi;
  /** Healthy subscriptions' leases, and those of failing or slow ones. */
  deliveries: LeaseQueue;
  retries: LeaseQueue;
}

/** Work towards D1 and the logs that is owed by rows and tried until it succeeds. */
export const CHORES = ['mirror', 'attach', 'letters', 'detach', 'jobs', 'replays'] as const;
export type Chore = (typeof CHORES)[number];

/** A subscription that exists: its row and its document. */
export interface Present {
  row: SubscriptionRow;
  document: SubscriptionDocument;
}

/**
 * The state that all parts of a Subscription share: its row in memory, transactions, the one alarm, and how chores back
 * off. Everything here can be lost at any moment; the tables are the truth.
 */
export class Core {
  readonly ports: SubscriptionPorts;
  readonly sql: Statements;
  #row: SubscriptionRow | null;
  #document: SubscriptionDocument | null;
  /** When the alarm is set; null: not known to be set. */
  #alarmAt: number | null = null;
  readonly #backoff = new Map<Chore, { until: number; delay: number }>();
  /** Lanes whose log could not be read: not before then. */
  readonly laneBackoff = new Map<number, { until: number; delay: number }>();

  constructor(ports: SubscriptionPorts) {
    this.ports = ports;
    migrate(ports.storage, MIGRATIONS);
    this.sql = statements(ports.storage);
    this.#row = this.sql.subscription();
    this.#document = this.#parseDocument();
    this.#recover();
  }

  /** After a restart: claims that were open aren't counted, what is unclaimed is sent soon, jumped due times are clamped. */
  #recover(): void {
    const now = this.now();
    this.tx(() => {
      this.sql.restartLeases(now + FIRST_RESEND_MS, now + CLAIM_LIFE_MS);
      if (this.#document) this.sql.clampDue(now + longestDelay(this.#document.retry));
      const probeAt = this.#row?.probe_at ?? null;
      if (this.#row && probeAt !== null && probeAt > now + PROBE_WITHIN_MS)
        this.setRow({ probe_at: now + PROBE_WITHIN_MS });
    });
  }

  now(): number {
    return this.ports.clock.now();
  }

  /** A secret as it is stored: sealed for this subscription, with the id of the key. */
  seal(secret: string): string {
    return JSON.stringify(this.ports.vault.seal(secret, this.ports.random, this.ports.name));
  }

  /** @throws VaultError if HUB_SECRET does not hold the key any more */
  open(stored: string): string {
    return this.ports.vault.open(JSON.parse(stored) as Sealed, this.ports.name);
  }

  #parseDocument(): SubscriptionDocument | null {
    return this.#row?.document ? (JSON.parse(this.#row.document) as SubscriptionDocument) : null;
  }

  /** The row, whether the subscription exists, was deleted, or never was (null). */
  get row(): SubscriptionRow | null {
    return this.#row;
  }

  /** The subscription, if it exists. */
  get present(): Present | null {
    return this.#row && this.#document ? { row: this.#row, document: this.#document } : null;
  }

  /** Replaces columns of the subscription's row. Only inside `tx`. */
  setRow(columns: Partial<SubscriptionRow>): void {
    if (!this.#row) throw new Error('There is no subscription row to change.');
    this.putRow({ ...this.#row, ...columns });
  }

  putRow(row: SubscriptionRow): void {
    const changed = row.document !== this.#row?.document;
    this.#row = row;
    this.sql.putSubscription(row);
    if (changed) this.#document = this.#parseDocument();
  }

  /** Runs a transition in one transaction and arms the alarm for what it leaves to do. Never async inside. */
  tx<T>(transition: () => T): T {
    try {
      return this.ports.storage.transactionSync(() => {
        const result = transition();
        this.#arm();
        return result;
      });
    } catch (error) {
      // What memory mirrors was rolled back with the rows.
      this.#row = this.sql.subscription();
      this.#document = this.#parseDocument();
      this.#alarmAt = null;
      throw error;
    }
  }

  /** May deliveries be claimed and lanes move? */
  get running(): boolean {
    return this.#document !== null && this.#row !== null && !this.#row.paused && this.#row.disabled_reason === null;
  }

  /** New events wait in the log, one probe at a time goes out. */
  get failing(): boolean {
    return this.#row?.probe_at != null;
  }

  get tooManyExceptions(): boolean {
    return this.retrying() >= EXCEPTIONS_MAX;
  }

  retrying(): number {
    return this.ports.storage.sql
      .exec<{ retrying: number }>('SELECT coalesce(sum(retrying), 0) AS retrying FROM lanes WHERE retrying > 0')
      .one().retrying;
  }

  /** Is the chore owed and not backing off? */
  choreDue(chore: Chore): boolean {
    const at = this.#choreAt(chore, this.now());
    return at !== null && at <= this.now();
  }

  choreFailed(chore: Chore, error: unknown): void {
    const delay = Math.min((this.#backoff.get(chore)?.delay ?? 500) * 2, CHORE_RETRY_MAX_MS);
    this.#backoff.set(chore, { until: this.now() + delay, delay });
    this.ports.log('warn', 'a chore failed and will be tried again', {
      subscription: this.ports.name,
      chore,
      delayMs: delay,
      error: String(error),
    });
  }

  choreDone(chore: Chore): void {
    this.#backoff.delete(chore);
  }

  #choreAt(chore: Chore, now: number): number | null {
    const owed = this.#owed(chore, now);
    return owed === null ? null : Math.max(owed, waitUntil(this.#backoff.get(chore), now));
  }

  #owed(chore: Chore, now: number): number | null {
    switch (chore) {
      case 'mirror':
        return this.#row?.mirror_dirty ? now : null;
      case 'attach':
        return this.#document && this.#row?.attach_after != null ? now : null;
      case 'letters':
        return this.sql.hasDirtyLetters() ? now : null;
      case 'detach':
        return this.sql.firstDetachment()?.due ?? null;
      case 'jobs':
        return this.#document && this.sql.job() ? now : null;
      case 'replays':
        return this.sql.unmirrored() ? now : null;
    }
  }

  /** Chores are being done since then; null: they are not. */
  choresSince: number | null = null;

  /** Is somebody at the chores? One who has not come back for a minute isn't counted on any more. */
  get choresRunning(): boolean {
    return (
      this.choresSince !== null && this.now() - this.choresSince < CHORES_GIVEN_UP_MS && this.now() >= this.choresSince
    );
  }

  /** A log could not be read: its lane waits 1 s, doubling to 30 s. */
  laneFailed(lane: number, error: unknown): void {
    const delay = Math.min((this.laneBackoff.get(lane)?.delay ?? 500) * 2, CHORE_RETRY_MAX_MS);
    this.laneBackoff.set(lane, { until: this.now() + delay, delay });
    this.ports.log('warn', 'a log could not be read', {
      subscription: this.ports.name,
      lane,
      delayMs: delay,
      error: String(error),
    });
  }

  /** Is the lane's log to be left alone for now? */
  backingOff(lane: number, now: number): boolean {
    return now < waitUntil(this.laneBackoff.get(lane), now);
  }

  /** The earliest moment at which something has to be done, derived from the tables; past if it is overdue. */
  nextDue(): number | null {
    const now = this.now();
    const chores = CHORES.map((chore) => this.#choreAt(chore, now)).filter((due) => due !== null);
    const dues: (number | null)[] = chores.map((due) => (this.choresRunning ? Math.max(due, now + WATCHDOG_MS) : due));
    dues.push(this.sql.nextLeaseDue(!this.running));
    if (this.running) {
      const { live, replay, leases } = this.sql.inFlight();
      const blocked = this.failing ? leases > 0 : live + replay >= (this.#document?.maxInFlight ?? 0);
      const exception = this.sql.firstDue()?.due ?? null;
      // Where nothing more may go out, a settle looks at the rest; the watchdog is for the settle that never comes.
      dues.push(blocked && exception !== null ? Math.max(exception, now + WATCHDOG_MS) : exception);
      if (this.sql.unparked(1).length > 0) {
        const moment = this.failing ? this.#probeDue(exception, now) : this.#rateDue(now);
        // Past moments were looked at in this very turn: what still stands in the way has the watchdog.
        const ahead = moment !== null && moment > now ? moment : null;
        dues.push(ahead, this.failing && ahead !== null ? null : now + WATCHDOG_MS);
      }
    }
    const due = dues.filter((entry) => entry !== null);
    return due.length === 0 ? null : Math.min(...due);
  }

  /** While failing the next event of a log is the probe, unless a retry is due soon enough to be it. */
  #probeDue(exception: number | null, now: number): number | null {
    const probeAt = this.#row?.probe_at ?? null;
    if (probeAt === null || (exception !== null && exception <= now + PROBE_WITHIN_MS)) return null;
    return probeAt;
  }

  /** A throttled replay goes on shortly before its next rate slot. */
  #rateDue(now: number): number | null {
    const cursor = this.sql.nextRateSlot();
    return cursor === null ? null : Math.min(cursor - RATE_AHEAD_MS, now + RATE_WAIT_MAX_MS);
  }

  /** Sets the alarm where it isn't set early enough already. An alarm that comes early finds nothing to do. */
  #arm(): void {
    const next = this.nextDue();
    const due = next === null ? null : Math.max(next, this.now());
    if (due === null || (this.#alarmAt !== null && this.#alarmAt <= due)) return;
    void this.ports.storage.setAlarm(due);
    this.#alarmAt = due;
  }

  /** The alarm fired or may have been lost: whatever is set is not known any more. */
  forgetAlarm(): void {
    this.#alarmAt = null;
  }
}

/** When a backoff ends; one that lies further away than it was made for was made before the clock jumped back. */
function waitUntil(backoff: { until: number; delay: number } | undefined, now: number): number {
  return backoff === undefined || backoff.until - now > backoff.delay ? 0 : backoff.until;
}
