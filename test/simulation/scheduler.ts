import type { Clock } from '../../src/platform.ts';
import type { SeededRandom } from './random.ts';
import type { Trace } from './trace.ts';

/** 2026-01-01T00:00:00Z. */
const START = 1_767_225_600_000;
/** How often something waits a while on its way rather than being ready at once. */
const DELAY_CHANCE = 0.25;
const DELAY_MAX_MS = 40;
/** How often time passes although something is ready. */
const TIME_FIRST_CHANCE = 0.03;

/**
 * Something that lives and may die: an instance of an object, one invocation of the queue consumer, a client. What waits
 * for a dead one never goes on.
 */
export interface Life {
  name: string;
  alive: boolean;
  /** Does nothing before then (simulated time without the clock's jumps). */
  pausedUntil: number;
  /** May be killed at any await. Null: never. */
  kill: (() => void) | null;
}

interface Task {
  label: string;
  life: Life | null;
  run: () => void;
  due: number;
  order: number;
}

/** Whatever becomes due by the clock and not by a task: the alarms. */
export interface Alarms {
  /** When the next one is due by the clock; null: none. */
  next(): number | null;
  /** Those due by then, each ready to run. */
  due(now: number): { label: string; run: () => void }[];
}

/**
 * Runs everything there is one step at a time in an order drawn from the seed. Whatever takes an await in the platform is
 * a task here, and goes on only when it is picked; between two picks all promises settle.
 */
export class Scheduler {
  readonly random: SeededRandom;
  readonly trace: Trace;
  alarms: Alarms = { next: () => null, due: () => [] };
  /** How likely whoever is about to go on is killed instead. */
  killChance = 0;
  steps = 0;
  #elapsed = 0;
  /** When the clock jumped, by how much. */
  readonly jumps: { at: number; ms: number }[] = [];
  #skew = START;
  #latest = START;
  #order = 0;
  #ready: Task[] = [];
  readonly #timers = new TimerHeap();

  constructor(random: SeededRandom, trace: Trace) {
    this.random = random;
    this.trace = trace;
  }

  /** Milliseconds simulated so far; never jumps. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** What clocks show. */
  now(): number {
    return this.#elapsed + this.#skew;
  }

  /** How far the clock is behind the latest time it ever showed: what waits for a time may wait so much longer. */
  get behindMs(): number {
    return Math.max(0, this.#latest - this.now());
  }

  jump(ms: number): void {
    this.jumps.push({ at: this.#elapsed, ms });
    this.#latest = Math.max(this.#latest, this.now());
    this.#skew += ms;
    this.trace.add(`clock jumps ${ms} ms`);
  }

  /** A clock for `life`. */
  clock(life: Life): Clock {
    return {
      now: () => this.now(),
      sleep: (ms) => this.sleep('sleep', life, ms),
    };
  }

  sleep(label: string, life: Life | null, ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timers.add(this.#task(label, life, resolve, this.#elapsed + Math.max(0, Number.isFinite(ms) ? ms : 0)));
    });
  }

  /** Resolves when it is this one's turn, soon; never if `life` dies before. */
  hop(label: string, life: Life | null): Promise<void> {
    return new Promise((resolve) => this.post(label, life, resolve));
  }

  /** Runs `run` when it is its turn, soon; not if `life` is dead by then. */
  post(label: string, life: Life | null, run: () => void): void {
    if (this.random.chance(DELAY_CHANCE)) {
      this.#timers.add(this.#task(label, life, run, this.#elapsed + this.random.between(1, DELAY_MAX_MS)));
    } else {
      this.#ready.push(this.#task(label, life, run, this.#elapsed));
    }
  }

  /** Runs steps until `done`, or there is nothing left to do at any time, or `stepsMax` have gone by. */
  async run(done: () => boolean, stepsMax: number): Promise<'done' | 'idle' | 'tired'> {
    await settled();
    for (let step = 0; step < stepsMax; step += 1) {
      if (done()) {
        return 'done';
      }
      if (!this.#step()) {
        return 'idle';
      }
      await settled();
    }
    return done() ? 'done' : 'tired';
  }

  #step(): boolean {
    this.steps += 1;
    const due = this.alarms.due(this.now());
    if (this.#ready.length + due.length === 0 || this.random.chance(TIME_FIRST_CHANCE)) {
      const passed = this.#passTime();
      if (!passed && this.#ready.length + due.length === 0) {
        return false;
      }
      if (this.#ready.length + due.length === 0) {
        return true;
      }
    }
    const choice = this.random.below(this.#ready.length + due.length);
    const alarm = due[choice - this.#ready.length];
    if (alarm !== undefined) {
      this.trace.add(alarm.label);
      alarm.run();
      return true;
    }
    this.#runTask(choice);
    return true;
  }

  #runTask(choice: number): void {
    const task = this.#ready[choice];
    const last = this.#ready.pop();
    if (task === undefined || last === undefined) {
      return;
    }
    if (task !== last) {
      this.#ready[choice] = last;
    }
    const { life } = task;
    if (life !== null && !life.alive) {
      return;
    }
    if (life !== null && life.pausedUntil > this.#elapsed) {
      this.#timers.add({ ...task, due: life.pausedUntil });
      return;
    }
    if (life?.kill && this.random.chance(this.killChance)) {
      this.trace.add(`${life.name} dies before: ${task.label}`);
      life.kill();
      return;
    }
    this.trace.add(task.label);
    task.run();
  }

  /** Lets time pass up to the next timer or alarm. */
  #passTime(): boolean {
    this.#timers.dropDead();
    const timer = this.#timers.first;
    const alarm = this.alarms.next();
    const alarmAt = alarm === null ? Number.POSITIVE_INFINITY : Math.max(this.#elapsed, alarm - this.#skew);
    const at = Math.min(timer?.due ?? Number.POSITIVE_INFINITY, alarmAt);
    if (at === Number.POSITIVE_INFINITY) {
      return false;
    }
    this.#elapsed = Math.max(this.#elapsed, at);
    for (let next = this.#timers.first; next !== undefined && next.due <= this.#elapsed; next = this.#timers.first) {
      this.#timers.remove();
      this.#ready.push(next);
    }
    return true;
  }

  #task(label: string, life: Life | null, run: () => void, due: number): Task {
    this.#order += 1;
    return { label: life === null ? label : `${life.name}: ${label}`, life, run, due, order: this.#order };
  }
}

/** Resolves when every promise that can go on has gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Tasks by due time, then by the order they were made in. */
class TimerHeap {
  #tasks: Task[] = [];

  get first(): Task | undefined {
    return this.#tasks[0];
  }

  /** Forgets tasks of the dead at the top, so that time does not stop for them. */
  dropDead(): void {
    while (this.#tasks[0]?.life?.alive === false) {
      this.remove();
    }
  }

  add(task: Task): void {
    const tasks = this.#tasks;
    let index = tasks.push(task) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = tasks[parent];
      if (above === undefined || before(above, task)) {
        break;
      }
      tasks[index] = above;
      index = parent;
    }
    tasks[index] = task;
  }

  remove(): void {
    const tasks = this.#tasks;
    const last = tasks.pop();
    if (last === undefined || tasks.length === 0) {
      return;
    }
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      const left = tasks[child];
      const right = tasks[child + 1];
      if (left === undefined) {
        break;
      }
      let lesser = left;
      if (right !== undefined && before(right, left)) {
        lesser = right;
        child += 1;
      }
      if (before(last, lesser)) {
        break;
      }
      tasks[index] = lesser;
      index = child;
    }
    tasks[index] = last;
  }
}

function before(a: Task, b: Task): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
