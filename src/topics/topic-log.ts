import type { Position } from '../events/position.ts';
import { migrate } from '../storage/migrate.ts';
import { AlarmClock } from './alarm-clock.ts';
import { announce, isUnannounced } from './announcing.ts';
import { assertAppendable } from './append.ts';
import { Chore } from './chore.ts';
import { DiskSize } from './disk-size.ts';
import { Feeds } from './feeds.ts';
import { GroupCommit } from './group-commit.ts';
import { Identities } from './identities.ts';
import { KeyIndex } from './key-index.ts';
import {
  ALARM_FALLBACK_MS,
  ALARM_WAIT_MS,
  KEYS_WAITING_MAX,
  PAGE_EVENTS_MAX,
  REMOVE_WAIT_MS,
  YOUNG_EVENTS_MAX,
} from './limits.ts';
import { LogState } from './log-state.ts';
import { MIGRATIONS } from './migrations.ts';
import { tellOwed } from './notices.ts';
import { Parks } from './parks.ts';
import type { TopicLogParts } from './parts.ts';
import type { TopicLogPorts } from './ports.ts';
import type {
  AppendRequest,
  AppendResult,
  AttachRequest,
  AttachResult,
  ConfigureResult,
  EventResult,
  FeedSocket,
  LogEvent,
  ReadKeysRequest,
  ReadKeysResult,
  ReadOrParkRequest,
  ReadOrParkResult,
  ReadRequest,
  ReadResult,
  RemoveResult,
  ResolveResult,
  Standing,
  TopicConfig,
  TopicDescription,
  TopicLogApi,
  TopicMetrics,
} from './protocol.ts';
import { Reading } from './reading.ts';
import { record } from './recording.ts';
import { isRemovalUnfinished, removeEvents } from './removing.ts';
import { Scanner } from './scan.ts';
import { statements } from './sql.ts';
import { Subscribers } from './subscribers.ts';
import { settledWithin } from './timeout.ts';
import { configureTopic, describeTopic, removeTopic, topicMetrics } from './topic.ts';
import { WaitingReaders } from './waiting-readers.ts';
import { Wakes } from './wakes.ts';

/**
 * A topic: one total order of events, durable and gap-free, and the subscriptions to be woken by it. Every decision is
 * made and committed without an `await` in between; what takes time is done afterwards, from rows and an alarm that a
 * crash doesn't lose.
 *
 * @throws in its making, if the stored schema is newer than this code.
 */
export class TopicLog implements TopicLogApi {
  readonly #parts: TopicLogParts;
  readonly #group: GroupCommit;
  readonly #wakes: Wakes;
  readonly #waiting: WaitingReaders;
  readonly #feeds: Feeds;
  readonly #reading: Reading;
  readonly #subscribers: Subscribers;
  readonly #announcing: Chore;
  readonly #removing: Chore;
  readonly #telling: Chore;
  /** Committed since the last time readers were told. */
  #fresh: string[] = [];

  constructor(ports: TopicLogPorts) {
    migrate(ports.storage, MIGRATIONS);
    const { topic, clock, log, storage, background } = ports;
    const sql = statements(storage);
    const state = new LogState(sql);
    const parts: TopicLogParts = {
      ports,
      sql,
      state,
      size: new DiskSize(ports),
      parks: new Parks(sql),
      identities: new Identities(sql, state, ports.youngEventsMax ?? YOUNG_EVENTS_MAX),
      keys: new KeyIndex(sql, state, ports.keysWaitingMax ?? KEYS_WAITING_MAX),
      scanner: new Scanner(topic, sql),
      alarm: new AlarmClock(storage, clock, () => this.#earliest()),
      transaction: (closure) => this.#transaction(closure),
    };
    this.#parts = parts;
    this.#wakes = new Wakes(parts);
    this.#waiting = new WaitingReaders(clock);
    this.#feeds = new Feeds(parts);
    this.#reading = new Reading(parts, this.#waiting);
    this.#subscribers = new Subscribers(parts, this.#wakes);
    this.#group = new GroupCommit({
      clock,
      background,
      commit: (requests) => this.#commit(requests),
      durable: () => storage.sync(),
      committed: () => this.#committed(),
      lost: () => this.#forget(),
    });
    this.#announcing = new Chore({
      complaint: 'The topic could not be announced',
      topic,
      clock,
      log,
      needed: () => isUnannounced(state),
      work: () => announce(parts),
    });
    this.#removing = new Chore({
      complaint: 'The events of a deleted topic could not be removed',
      topic,
      clock,
      log,
      needed: () => isRemovalUnfinished(sql, state),
      work: () => removeEvents(parts),
    });
    this.#telling = new Chore({
      complaint: 'What the hub tells of the topic could not be told',
      topic,
      clock,
      log,
      needed: () => sql.notices(1).length > 0,
      work: () => tellOwed(parts),
    });
  }

  async append(request: AppendRequest): Promise<AppendResult> {
    assertAppendable(request);
    return this.#group.submit(request);
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.#reading.read(request);
  }

  async event(sequence: number): Promise<EventResult> {
    return this.#reading.event(sequence);
  }

  async eventsAt(sequences: number[]): Promise<{ events: LogEvent[]; examined: number }> {
    return this.#reading.eventsAt(sequences);
  }

  async readKeys(request: ReadKeysRequest): Promise<ReadKeysResult> {
    return this.#reading.readKeys(request);
  }

  /** What the reader of a feed says. */
  feedMessage(socket: FeedSocket, text: string): void {
    this.#feeds.message(socket, text);
  }

  /** The reader of a feed is gone. */
  feedGone(socket: FeedSocket): void {
    this.#feeds.gone(socket);
  }

  async describe(): Promise<TopicDescription | null> {
    return describeTopic(this.#parts);
  }

  async configure(config: TopicConfig, ifMatch: string | null): Promise<ConfigureResult> {
    const result = configureTopic(this.#parts, config, ifMatch);
    if (result.outcome !== 'precondition-failed') {
      await this.#parts.ports.storage.sync();
    }
    return result;
  }

  async remove(request: { force: boolean }): Promise<RemoveResult> {
    const result = removeTopic(this.#parts, request.force);
    if (result.outcome !== 'removed') {
      return result;
    }
    await this.#parts.ports.storage.sync();
    this.#waiting.wakeAll();
    this.#feeds.endAll();
    await this.#beside(this.#removing.run(), REMOVE_WAIT_MS);
    return result;
  }

  async resolve(position: Position, as: 'start' | 'end'): Promise<ResolveResult> {
    return this.#reading.resolve(position, as);
  }

  async attach(request: AttachRequest): Promise<AttachResult> {
    const result = this.#subscribers.attach(request, () => this.#reading.resolve(request.from, 'start'));
    await this.#parts.ports.storage.sync();
    return result;
  }

  async detach(subscription: string, attachment: string): Promise<void> {
    this.#subscribers.detach(subscription, attachment);
    await this.#parts.ports.storage.sync();
  }

  async readOrPark(request: ReadOrParkRequest): Promise<ReadOrParkResult> {
    const result = this.#subscribers.readOrPark(request);
    if (result.outcome === 'parked') {
      await this.#parts.ports.storage.sync();
    }
    return result;
  }

  async unpark(subscription: string, ticket: number): Promise<{ next: number } | null> {
    return this.#subscribers.unpark(subscription, ticket);
  }

  async standing(subscription: string, low?: number): Promise<Standing> {
    return this.#subscribers.standing(subscription, low);
  }

  async subscribers(after: string, limit: number): Promise<string[]> {
    // One more than a page: whether there are others.
    const rows = this.#parts.sql.subscribersAfter(after, Math.max(1, Math.min(limit, PAGE_EVENTS_MAX + 1)));
    return rows.map((row) => row.name);
  }

  async metrics(): Promise<TopicMetrics | null> {
    return topicMetrics(this.#parts);
  }

  async sweep(): Promise<void> {
    const { alarm, ports, sql, state } = this.#parts;
    // Whatever is believed about the alarm may be what is wrong.
    alarm.forget();
    if ((this.#earliest() ?? Infinity) <= ports.clock.now()) {
      this.#transaction(() => sql.count('healed'));
    }
    // Only what the catalogue names is swept: a making that arrived after the deletion is to be taken back.
    if (!state.exists) {
      this.#transaction(() => sql.setMeta({ catalogued: 0 }));
      state.changed({ catalogued: 0 });
    }
    await this.#work('sweep-failures');
  }

  async alarm(): Promise<void> {
    this.#parts.alarm.fired();
    await this.#work('alarm-failures');
  }

  /** Runs what is due and arms the alarm for the rest, whatever happens: the platform gives a failing alarm up. */
  async #work(failures: string): Promise<void> {
    const { ports, alarm } = this.#parts;
    const chores: (Promise<void> | null)[] = [];
    const kinds = [
      () => this.#wakes.runDue(),
      () => chores.push(this.#announcing.run()),
      () => chores.push(this.#removing.run()),
      () => chores.push(this.#telling.run()),
    ];
    try {
      for (const run of kinds) {
        try {
          run();
        } catch (error) {
          this.#complain(failures, error);
        }
      }
      await this.#beside(Promise.all(chores), chores.some((chore) => chore !== null) ? ALARM_WAIT_MS : 0);
    } finally {
      try {
        alarm.arm();
      } catch (error) {
        this.#complain(failures, error);
        alarm.fired();
        await ports.storage.setAlarm(ports.clock.now() + ALARM_FALLBACK_MS);
      }
    }
  }

  /** Waits for work for a while at most; it goes on beside whatever follows. */
  async #beside(work: Promise<unknown> | null, waitMs: number): Promise<void> {
    const { ports } = this.#parts;
    if (work !== null && waitMs > 0) {
      ports.background(work);
      await settledWithin(ports.clock, work, waitMs);
    }
  }

  #complain(failures: string, error: unknown): void {
    const { ports, sql } = this.#parts;
    ports.log('error', 'The work of a topic failed; the alarm is armed again.', { topic: ports.topic, error });
    try {
      this.#transaction(() => sql.count(failures));
    } catch (counting) {
      ports.log('error', 'The failure could not be counted.', { topic: ports.topic, error: counting });
    }
  }

  /** When something has to be done next; null: never. */
  #earliest(): number | null {
    const now = this.#parts.ports.clock.now();
    const due = [this.#wakes, this.#announcing, this.#removing, this.#telling].flatMap(
      (work) => work.nextDue(now) ?? [],
    );
    return due.length === 0 ? null : Math.min(...due);
  }

  #commit(requests: AppendRequest[]): AppendResult[] {
    const { results, arrivals, owed } = record(this.#parts, requests);
    if (arrivals !== null) {
      this.#wakes.appended(arrivals);
      this.#wakes.owe(owed);
      if (this.#waiting.size > 0) {
        this.#fresh.push(...arrivals.texts);
      }
    }
    return results;
  }

  /** Readers and subscriptions are told once a commit is durable; what was committed since, the platform holds back until it is. */
  #committed(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    try {
      this.#waiting.arrived(fresh);
      this.#feeds.arrived();
      this.#wakes.pump();
    } catch (error) {
      const { ports } = this.#parts;
      ports.log('error', 'A wake could not be started; the alarm will.', { topic: ports.topic, error });
    }
  }

  #transaction<T>(closure: () => T): T {
    try {
      return this.#parts.ports.storage.transactionSync(closure);
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#parts.sql.forget();
    this.#parts.state.forget();
    this.#parts.parks.forget();
    this.#parts.scanner.forget();
    this.#parts.identities.forget();
    this.#parts.keys.forget();
    this.#parts.alarm.forget();
  }
}
