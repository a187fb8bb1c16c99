import type { Catalog } from '../catalog/catalog.ts';
import type { DeadLetters } from '../dead-letters/letters.ts';
import type { Background, Clock, Log, ObjectStorage, Random } from '../platform.ts';
import { migrate } from '../storage/migrate.ts';
import type { TopicLogApi } from '../topics/protocol.ts';
import { withTimeout } from '../topics/timeout.ts';
import { Alarm } from './alarm.ts';
import type { Ordering, SubscriptionDocument } from './document.ts';
import {
  ANSWER_MAX_MS,
  CLAIM_LIFE_MS,
  EXCEPTIONS_MAX,
  FIRST_RESEND_MS,
  HOLD_MAX_MS,
  LETTERS_UNSENT_MAX,
  PROBE_WITHIN_MS,
} from './limits.ts';
import { MIGRATIONS } from './migrations.ts';
import type { HandshakeMessage } from './protocol.ts';
import type { LeaseMessage } from './protocol-claims.ts';
import { longestDelay } from './retry.ts';
import type { SubscriptionRow } from './rows.ts';
import { Safe } from './safe.ts';
import { Silence } from './silence.ts';
import { type Statements, statements } from './sql.ts';
import type { Vault } from './vault.ts';

export interface LeaseQueue {
  send(message: LeaseMessage): Promise<unknown>;
}

export interface HandshakeQueue {
  send(message: HandshakeMessage): Promise<unknown>;
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
  vault: Pick<Vault, 'seal' | 'open' | 'keyId'>;
  topicLog(topic: string): TopicLogApi;
  /** Healthy subscriptions' leases, and those of failing or slow ones. */
  deliveries: LeaseQueue;
  retries: LeaseQueue;
  /** For receivers to be asked for their consent. */
  handshakes: HandshakeQueue;
}

/** A subscription that exists: its row and its document. */
export interface Present {
  row: SubscriptionRow;
  document: SubscriptionDocument;
}

/**
 * The state that all parts of a Subscription share: its row in memory, transactions, the one alarm. Everything here can be
 * lost at any moment; the tables are the truth.
 */
export class Core {
  readonly ports: SubscriptionPorts;
  readonly sql: Statements;
  readonly safe: Safe;
  readonly alarm: Alarm;
  readonly silence: Silence;
  #row: SubscriptionRow | null;
  #document: SubscriptionDocument | null;
  /** What the alarm is derived from. */
  #nextDue: () => number | null = () => null;
  /** Something moved: a delivery was settled, a page was read. */
  progressAt: number;
  /** While a filter changes, no lane reads or parks by the old one. */
  readingHeld = false;
  /** Where it is pulled: how many events those who wait ask for. */
  asked = 0;
  /** And how many of them he who is served next. */
  askedNext = 0;
  /** Told of every transition once it is committed. */
  onCommitted: () => void = () => undefined;

  constructor(ports: SubscriptionPorts) {
    this.ports = ports;
    migrate(ports.storage, MIGRATIONS);
    this.sql = statements(ports.storage);
    this.safe = new Safe(ports.vault, ports.random, ports.name);
    this.alarm = new Alarm(ports.storage, ports.clock);
    this.silence = new Silence(
      this.sql,
      () => this.now(),
      (message, fields) => this.warn(message, fields),
    );
    this.#row = this.sql.subscription();
    this.#document = this.#parseDocument();
    this.progressAt = this.now();
  }

  /**
   * Begins, once all parts are there. After a restart claims that were open aren't counted, what is unclaimed is sent soon,
   * due times that a clock's jump set too far away are brought back, and the alarm is set whatever was before.
   */
  start(nextDue: () => number | null): void {
    this.#nextDue = nextDue;
    const now = this.now();
    this.tx(() => {
      if (!this.#row) return;
      this.sql.restartLeases(now + FIRST_RESEND_MS, now + CLAIM_LIFE_MS);
      this.sql.clampHeld(now);
      if (this.#document) this.sql.clampDue(now + longestDelay(this.#document.retry));
    });
  }

  now(): number {
    return this.ports.clock.now();
  }

  /** A random name in hexadecimal digits, for claims and attachments. */
  token(bytes: number): string {
    return Array.from(this.ports.random.bytes(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  /** Random numbers below 2^48 name leases and parks: none is ever used again, so a stale message or call finds nothing. */
  randomNumber(): number {
    return this.ports.random.bytes(6).reduce((number, byte) => number * 256 + byte, 0);
  }

  /** A log's answer. @throws if it does not come in time */
  ask<T>(topic: string, call: (log: TopicLogApi) => Promise<T>, maxMs = ANSWER_MAX_MS): Promise<T> {
    return this.inTime(call(this.ports.topicLog(topic)), `The topic ${topic}`, maxMs);
  }

  /** An answer that somebody waits for. @throws if it does not come in time */
  inTime<T>(answer: Promise<T>, whose: string, maxMs = ANSWER_MAX_MS): Promise<T> {
    return withTimeout(this.ports.clock, answer, maxMs, whose);
  }

  /** What signs at present, as it is stored: the secret and, while it is being rotated, the one before. */
  get boxes(): string[] {
    const row = this.#row;
    if (!row?.secret) return [];
    const rotating = row.previous_secret !== null && (row.previous_expires_at ?? 0) > this.now();
    return rotating && row.previous_secret !== null ? [row.secret, row.previous_secret] : [row.secret];
  }

  /** Why nothing can be signed: a secret that signs can't be opened. Null: all can. */
  get locked(): string | null {
    for (const box of this.boxes) {
      const fault = this.safe.fault(box);
      if (fault !== null) return fault;
    }
    return null;
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

  /** @throws if there is no subscription */
  get document(): SubscriptionDocument {
    if (!this.#document) throw new Error('The subscription does not exist.');
    return this.#document;
  }

  /** Replaces columns of the subscription's row. Only inside `tx`. */
  setRow(columns: Partial<SubscriptionRow>): void {
    if (!this.#row) throw new Error('There is no subscription row to change.');
    this.putRow({ ...this.#row, ...columns });
  }

  putRow(row: SubscriptionRow): void {
    const changed = row.document !== this.#row?.document;
    if (row.secret !== this.#row?.secret || row.previous_secret !== this.#row?.previous_secret) this.safe.forget();
    this.#row = row;
    this.sql.putSubscription(row);
    if (changed) this.#document = this.#parseDocument();
  }

  /** A version newer than that of any letter so far. Only inside `tx`. `columns`: what else changes in the row. */
  letterVersion(columns: Partial<SubscriptionRow> = {}): number {
    const version = (this.#row?.letter_version ?? 0) + 1;
    this.setRow({ ...columns, letter_version: version });
    return version;
  }

  /** Runs a transition in one transaction and arms the alarm for what it leaves to do. Never async inside. */
  tx<T>(transition: () => T): T {
    try {
      const outcome = this.ports.storage.transactionSync(() => {
        const result = transition();
        this.arm();
        return result;
      });
      this.onCommitted();
      return outcome;
    } catch (error) {
      // What memory mirrors was rolled back with the rows.
      this.sql.memories.forget();
      this.#row = this.sql.subscription();
      this.#document = this.#parseDocument();
      this.alarm.forget();
      throw error;
    }
  }

  /** Arms the alarm for what is left to do. Every `tx` does so; by itself it is for where no row has changed. @throws only if storage fails */
  arm(): void {
    this.alarm.arm(this.#nextDue);
  }

  /** It exists, and nobody has paused or disabled it. */
  get enabled(): boolean {
    return this.#document !== null && this.#row !== null && !this.#row.paused && this.#row.disabled_reason === null;
  }

  /** May deliveries be claimed and lanes move? */
  get running(): boolean {
    const consented = this.#row?.consent !== 'pending';
    return this.enabled && this.locked === null && consented && this.retryAfter === null;
  }

  /** By what what is leased now is ordered. */
  get ordering(): Ordering {
    return this.#row?.ordering ?? 'none';
  }

  /** Until when nothing starts, because the receiver asked for it; null: it does not. */
  get retryAfter(): number | null {
    const until = this.#row?.retry_after ?? 0;
    const now = this.now();
    // One further away than any is set was set before the clock jumped back.
    return until > now && until <= now + HOLD_MAX_MS ? until : null;
  }

  /** How many deliveries may be out: `maxInFlight`, fewer after the receiver pushed back. */
  get concurrency(): number {
    const { maxInFlight } = this.document;
    return Math.min(maxInFlight, Math.floor(this.#row?.concurrency ?? maxInFlight));
  }

  /** Nothing is sent: it waits until somebody asks for it. */
  get isPulled(): boolean {
    return this.#document?.delivery.kind === 'pull';
  }

  /** Is there somebody to give deliveries to? */
  get isWanted(): boolean {
    return !this.isPulled || this.asked > 0;
  }

  /** New events wait in the log, one probe at a time goes out. */
  get failing(): boolean {
    return this.#row?.probe_at != null;
  }

  /** While failing: when the next event of a log may be the probe. A clock that jumped back makes it no later than 5 minutes. */
  probeAt(now: number): number {
    const probeAt = this.#row?.probe_at ?? 0;
    return probeAt > now + PROBE_WITHIN_MS ? now : probeAt;
  }

  get tooManyExceptions(): boolean {
    return this.sql.retrying() >= EXCEPTIONS_MAX;
  }

  /** So much is to be tried again, or so much that died is not in D1 yet, that nothing new is taken. */
  get isFull(): boolean {
    return this.tooManyExceptions || this.sql.hasUnsent(LETTERS_UNSENT_MAX);
  }

  warn(message: string, fields: Record<string, unknown>): void {
    this.ports.log('warn', message, { subscription: this.ports.name, ...fields });
  }

  /**
   * Runs the parts of the alarm's work, each whatever becomes of the others, and arms the next alarm at the end. A failure
   * is counted, and makes the next alarm come no sooner than in 5 s. @throws only if storage fails
   */
  async onAlarm(parts: (() => void)[]): Promise<void> {
    this.alarm.rings();
    // Whoever comes to see that nothing stands still looks at the tables themselves.
    this.sql.memories.forget();
    let failures = 0;
    for (const part of parts) {
      try {
        part();
      } catch (error) {
        failures += 1;
        this.ports.log('error', 'an alarm failed', { subscription: this.ports.name, error: String(error) });
      }
    }
    this.alarm.rang(failures > 0);
    try {
      this.tx(() => {
        if (failures > 0 && this.#row) this.setRow({ alarm_failures: this.#row.alarm_failures + 1 });
      });
    } catch (error) {
      this.warn('the next alarm could not be derived', { error: String(error) });
      await this.alarm.fallBack();
    }
  }
}
