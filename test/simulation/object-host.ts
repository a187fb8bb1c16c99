import type { Background, Clock, ObjectStorage } from '../../src/platform.ts';
import type { NodeDatabase, NodeDatabases } from '../support/node-database.ts';
import { NodeStorage } from '../support/node-storage.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** The platform tries an alarm that throws so often again, then gives up on it. */
const ALARM_RETRIES_MAX = 6;
const ALARM_RETRY_MS = 2_000;

/** What an instance of an object gets of its platform; all of it is void once the instance is dead. */
export interface InstancePorts {
  life: Life;
  storage: ObjectStorage;
  clock: Clock;
  background: Background;
}

/** Whoever calls others. */
export interface Party {
  life: Life;
  /** Resolves when a call may leave; never if the caller dies before. */
  ready(): Promise<void>;
}

export interface Hosted {
  alarm(): Promise<void>;
}

interface Incarnation<T> {
  life: Life;
  object: T;
  /** Calls that have not been answered: told of a death. */
  calls: Set<(error: Error) => void>;
  /** Waiting for the disk to confirm what was written. */
  gate: (() => void)[];
}

/**
 * One Durable Object: its storage, which stays, and its instance, which may be killed at any await. As in the platform,
 * what was written is lost with the instance until the disk has confirmed it, and until then nothing leaves the object:
 * no answer, no call, no message (the output gate). An alarm is at least once.
 */
export class ObjectHost<T extends Hosted> {
  readonly name: string;
  readonly storage: NodeStorage;
  readonly #databases: NodeDatabases;
  readonly #database: NodeDatabase;
  readonly #scheduler: Scheduler;
  readonly #build: (ports: InstancePorts) => T;
  #incarnation: Incarnation<T> | null = null;
  #births = 0;
  /** `since`: what the running alarm was set to. */
  #alarm: { running: boolean; failures: number; since: number } = { running: false, failures: 0, since: 0 };
  /** workerd loses an alarm that the alarm's own handler sets to no later than what it was set to itself. */
  #alarmLost = false;
  /** Errors that alarms and background work ended with, which is no fault by itself. */
  readonly errors: string[] = [];
  deaths = 0;

  /** @param databases where that of its storage is from */
  constructor(name: string, databases: NodeDatabases, scheduler: Scheduler, build: (ports: InstancePorts) => T) {
    this.name = name;
    this.#databases = databases;
    this.#database = databases.take();
    this.storage = new NodeStorage({ path: this.#database, durability: 'on-flush' });
    this.#scheduler = scheduler;
    this.#build = build;
    // What the constructor writes is scheduled once there is an instance.
    this.storage.onDirty = () => {
      if (this.#incarnation !== null) {
        this.#scheduleFlush(this.#incarnation);
      }
    };
    this.storage.onSync = () => this.#confirmed();
    this.storage.onAlarm = () => {
      const { running, since } = this.#alarm;
      this.#alarmLost = running && this.storage.alarm !== null && this.storage.alarm <= since;
    };
  }

  /** The life of the running instance, if there is one. */
  get life(): Life | null {
    return this.#incarnation?.life ?? null;
  }

  /** Kills the instance: memory and unconfirmed writes are gone, calls to it fail for their callers. */
  kill(): void {
    const dying = this.#incarnation;
    if (dying === null) {
      return;
    }
    this.deaths += 1;
    dying.life.alive = false;
    this.#incarnation = null;
    // What is on disk is read anew by the next instance.
    this.#alarmLost = false;
    this.storage.crash();
    if (this.#alarm.running) {
      this.#alarm.running = false;
      this.storage.restoreAlarm(this.storage.alarm ?? this.#scheduler.now() + ALARM_RETRY_MS);
    }
    for (const fail of dying.calls) {
      fail(new Error('Durable Object reset because it died.'));
    }
  }

  /** Nothing happens to it any more. */
  end(): void {
    if (this.#incarnation !== null) this.#incarnation.life.alive = false;
    this.#databases.give(this.#database);
  }

  /** Carries out a call to the object; `answer` and `fail` are called at most once between them. */
  call(work: (object: T) => Promise<unknown>, answer: (value: unknown) => void, fail: (error: Error) => void): void {
    let incarnation: Incarnation<T>;
    try {
      incarnation = this.#start();
    } catch (error) {
      fail(asError(error));
      return;
    }
    const { calls, life } = incarnation;
    calls.add(fail);
    const finish = (then: () => void) => {
      this.output(life).then(() => {
        if (calls.delete(fail)) {
          then();
        }
      });
    };
    // An object's method may throw at once as well as reject.
    Promise.try(() => work(incarnation.object)).then(
      (value) => finish(() => answer(value)),
      (error: unknown) => finish(() => fail(new Error(asError(error).message))),
    );
  }

  /** When the alarm is due; null: none that the disk has confirmed, or its handler runs. */
  get alarmAt(): number | null {
    return this.#alarm.running || this.#alarmLost || this.storage.dirty ? null : this.storage.alarm;
  }

  /**
   * The alarm is set, or its handler runs. One that is lost because the clock was set back meanwhile can't be helped: it would have
   * to be set to where the clock was. The sweep finds what it leaves.
   */
  get hasAlarm(): boolean {
    const isLost = this.#alarmLost && this.#scheduler.now() > this.#alarm.since;
    return this.#alarm.running || (this.storage.alarm !== null && !isLost);
  }

  /** What the object may do to others: nothing before the disk has confirmed what was written. */
  party(life: Life): Party {
    return { life, ready: () => this.output(life) };
  }

  /** Fires the alarm. */
  fire(): void {
    let incarnation: Incarnation<T>;
    this.#alarm.since = this.storage.alarm ?? 0;
    this.storage.takeAlarm();
    try {
      incarnation = this.#start();
    } catch (error) {
      this.errors.push(String(error));
      this.#retryAlarm();
      return;
    }
    const { life, object } = incarnation;
    this.#alarm.running = true;
    const ended = (then: () => void) => {
      this.output(life).then(() => {
        if (life.alive) {
          this.#alarm.running = false;
          then();
        }
      });
    };
    Promise.try(() => object.alarm()).then(
      () =>
        ended(() => {
          this.#alarm.failures = 0;
        }),
      (error: unknown) =>
        ended(() => {
          this.errors.push(asError(error).stack ?? String(error));
          this.#retryAlarm();
        }),
    );
  }

  /** Resolves when all that the instance has written is on disk; never if it dies before. */
  output(life: Life): Promise<void> {
    if (!life.alive) {
      return new Promise(() => {});
    }
    return this.storage.dirty && this.#incarnation?.life === life ? this.#confirmed() : Promise.resolve();
  }

  #confirmed(): Promise<void> {
    const gate = this.#incarnation?.gate;
    if (!this.storage.dirty || gate === undefined) {
      return Promise.resolve();
    }
    return new Promise((resolve) => gate.push(resolve));
  }

  #scheduleFlush(incarnation: Incarnation<T>): void {
    this.#scheduler.post('disk confirms', incarnation.life, () => {
      this.storage.flush();
      for (const resolve of incarnation.gate.splice(0)) {
        resolve();
      }
    });
  }

  /** The platform tries again after 2 s, doubling, unless another alarm has been set meanwhile. */
  #retryAlarm(): void {
    this.#alarm.failures += 1;
    if (this.storage.alarm === null && this.#alarm.failures <= ALARM_RETRIES_MAX) {
      this.storage.restoreAlarm(this.#scheduler.now() + ALARM_RETRY_MS * 2 ** (this.#alarm.failures - 1));
    }
  }

  #start(): Incarnation<T> {
    if (this.#incarnation !== null) {
      return this.#incarnation;
    }
    this.#births += 1;
    const life: Life = { name: `${this.name}#${this.#births}`, alive: true, pausedUntil: 0, kill: () => this.kill() };
    const starting: Omit<Incarnation<T>, 'object'> = { life, calls: new Set(), gate: [] };
    const ports: InstancePorts = {
      life,
      storage: guarded(this.storage, life),
      clock: this.#scheduler.clock(life),
      background: (task) => {
        task.catch((error: unknown) => {
          this.errors.push(asError(error).stack ?? String(error));
        });
      },
    };
    // What the constructor writes is lost if it throws, and waits for the disk like all else.
    let object: T;
    try {
      object = this.#build(ports);
    } catch (error) {
      life.alive = false;
      this.storage.crash();
      throw error;
    }
    this.#incarnation = { ...starting, object };
    if (this.storage.dirty) {
      this.#scheduleFlush(this.#incarnation);
    }
    return this.#incarnation;
  }
}

/** Storage that a dead instance can't reach. */
function guarded(storage: NodeStorage, life: Life): ObjectStorage {
  const reach = (): NodeStorage => {
    if (!life.alive) {
      throw new Error(`${life.name} is dead and touches its storage.`);
    }
    return storage;
  };
  return {
    sql: {
      exec: (query, ...bindings) => reach().sql.exec(query, ...bindings),
      get databaseSize() {
        return reach().sql.databaseSize;
      },
    },
    transactionSync: (closure) => reach().transactionSync(closure),
    setAlarm: async (at) => reach().setAlarm(at),
    deleteAlarm: async () => reach().deleteAlarm(),
    sync: () => reach().sync(),
  };
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
