import type { Violation } from '../history/operations.ts';
import { Administrator } from './administrator.ts';
import { calm, rage } from './chaos.ts';
import { checkKeys, checkTold, leftToDo, TableWatch } from './invariants.ts';
import { judge } from './judge.ts';
import { drawPlan, type Plan } from './plan.ts';
import { Producer } from './producers.ts';
import { Pullers } from './pullers.ts';
import { SeededRandom } from './random.ts';
import { readNowAndThen } from './readers.ts';
import { Recorder } from './recorder.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

/** Steps a seed may take before and after its healing; beyond, it turns in circles. */
const STEPS_MAX = 60_000;
/** And this many more for each second that the clock is behind: while retries wait for it, whoever pulls asks and asks. */
const STEPS_PER_SECOND_BEHIND = 20;
/** Simulated time within which everything must have drained once nothing fails any more: the longest waits there are. */
const DRAIN_MAX_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;
/** Steps between two looks at the tables. */
const LOOK_EVERY = 20;

export interface Result {
  seed: number;
  violations: Violation[];
  steps: number;
  /** The same for the same run. */
  hash: string;
  /** The last lines of what happened. */
  trace: string[];
}

export interface Options {
  /** Print all that happens. */
  verbose?: boolean;
  /** Look into the objects' tables too, every few steps (the default), rather than at the history alone. */
  tables?: boolean;
}

/** Runs one seed from its beginning to its judgement. */
export async function simulate(seed: number, options: Options = {}): Promise<Result> {
  const { verbose = false, tables = true } = options;
  const random = new SeededRandom(seed);
  const trace = new Trace(verbose);
  const scheduler = new Scheduler(random, trace);
  const violations: Violation[] = [];
  const broken = (rule: string, detail: string) => violations.push({ rule, detail });
  const onRejection = (error: unknown) => {
    broken('rejection', `a promise nobody waits for was rejected: ${error instanceof Error ? error.stack : error}`);
  };
  process.on('unhandledRejection', onRejection);
  try {
    const plan = drawPlan(random);
    trace.add(`seed ${seed}: ${JSON.stringify(plan)}`);
    const world = new World(scheduler, plan.youngEventsMax);
    const recorder = new Recorder(scheduler);
    const administrator = new Administrator(world, plan, recorder);
    const watch = new TableWatch(world);
    const looking = looker(() => {
      if (tables) {
        watch.check(violations);
      }
    });

    let busy = true;
    const clients = [
      administrator.run(),
      readNowAndThen(world, plan, recorder),
      ...Array.from({ length: plan.producers }, (_, index) => new Producer(`p${index}`, world, plan, recorder).run()),
    ];
    void Promise.all(clients)
      .then(() => scheduler.sleep('faults linger', null, plan.lingerMs))
      .then(() => {
        busy = false;
      }, onRejection);
    const pullers = new Pullers(world);
    void pullers.run(plan).catch(onRejection);
    void rage(world, plan, () => !busy).catch(onRejection);
    const worked = await scheduler.run(() => looking() || violations.length > 0 || !busy, STEPS_MAX);
    if (worked !== 'done') {
      broken('calls', `the clients' calls never came back (${worked})`);
    }
    calm(world);
    pullers.isHealthy = true;
    world.consumerWorkers.isHealthy = true;
    if (violations.length === 0) {
      await heal(world, plan, () => looking() || violations.length > 0, broken);
    }
    // What the tables say is broken says enough; a history that did not drain is judged all the same.
    if (violations.every(({ rule }) => rule === 'drained')) {
      const before = violations.length;
      let judged = false;
      void judge(world, plan, administrator, recorder).then((found) => {
        violations.push(...found);
        judged = true;
      }, onRejection);
      await scheduler.run(() => judged || violations.length > before, STEPS_MAX);
      if (!judged && violations.length === before) {
        broken('calls', 'the judge never got its answers');
      }
      if (tables) {
        checkKeys(world, violations);
        checkTold(world, violations);
      }
    }
    world.end();
    return { seed, violations, steps: scheduler.steps, hash: trace.hash, trace: trace.tail };
  } catch (error) {
    broken('error', error instanceof Error ? (error.stack ?? error.message) : String(error));
    return { seed, violations, steps: scheduler.steps, hash: trace.hash, trace: trace.tail };
  } finally {
    process.off('unhandledRejection', onRejection);
  }
}

/** Calls `look` at every few steps; never says that it is done. */
function looker(look: () => void): () => false {
  let steps = 0;
  return () => {
    steps += 1;
    if (steps % LOOK_EVERY === 0) {
      look();
    }
    return false;
  };
}

/** Lets everything run again, with the cron, until nothing is left to do. */
async function heal(
  world: World,
  plan: Plan,
  stop: () => boolean,
  broken: (rule: string, detail: string) => void,
): Promise<void> {
  const { scheduler } = world;
  const longest = DRAIN_MAX_MS + scheduler.behindMs;
  const stepsMax = STEPS_MAX + (scheduler.behindMs / 1_000) * STEPS_PER_SECOND_BEHIND;
  const life = world.outsider('healer').life;
  const from = scheduler.elapsed;
  let over = false;
  const work = async () => {
    for (const name of plan.subscriptions) {
      await world.subscription(world.outsider('healer'), name).resume();
    }
    while (!over) {
      await world.sweep();
      await scheduler.sleep('cron waits', life, SWEEP_EVERY_MS);
    }
  };
  let failed: unknown = null;
  void work().catch((error: unknown) => {
    failed = error;
  });
  let left: string | null = 'everything';
  let drainedSince: number | null = null;
  let steps = 0;
  const drained = () => {
    steps += 1;
    if (steps % LOOK_EVERY === 0) {
      left = leftToDo(world);
      drainedSince = left === null ? (drainedSince ?? scheduler.elapsed) : null;
    }
    // Whatever looks drained has to stay so over a sweep.
    return drainedSince !== null && scheduler.elapsed - drainedSince > 2 * SWEEP_EVERY_MS;
  };
  // What has drained in time may take its time to stay so.
  const late = () => drainedSince === null && scheduler.elapsed - from > longest;
  const outcome = await scheduler.run(() => stop() || failed !== null || late() || drained(), stepsMax);
  over = true;
  if (failed !== null) {
    broken('calls', `with nothing failing: ${failed instanceof Error ? failed.stack : failed}`);
  } else if (outcome !== 'done' || late()) {
    broken(
      'drained',
      `after ${scheduler.elapsed - from} ms without faults there is still something to do: ${left} (${outcome})`,
    );
  }
}
