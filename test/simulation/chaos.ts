import { NO_NETWORK_FAULTS } from './network.ts';
import type { Plan } from './plan.ts';
import { TYPES } from './producers.ts';
import { MANNERS } from './receivers.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
/** Longer than a claim lives. */
const PAUSE_MIN_MS = 5_000;
const PAUSE_MAX_MS = 60_000;

/** The larger faults, one after the other, until `ended` says so. The small ones are the network's and the scheduler's. */
export async function rage(world: World, plan: Plan, ended: () => boolean): Promise<void> {
  const { scheduler, network, receivers, consumers } = world;
  const { random } = scheduler;
  if (plan.faultEveryMs === null) {
    return;
  }
  const life = world.outsider('chaos').life;
  network.faults = plan.faults;
  scheduler.killChance = plan.killChance;
  consumers.mortal = plan.killChance > 0;
  for (const name of plan.subscriptions) {
    for (const place of ['one', 'two']) {
      receivers.manners.set(`${place}.${name}.example.com`, MANNERS[random.pick(plan.manners)] ?? {});
    }
  }
  while (!ended()) {
    await scheduler.sleep('schemes', life, random.between(0, plan.faultEveryMs));
    if (ended()) {
      return;
    }
    const name = random.pick(plan.subscriptions);
    const host = `${random.pick(['one', 'two'])}.${name}.example.com`;
    const fault = random.weighted({
      kill: plan.killChance > 0 && world.hosts().length > 0 ? 2 : 0,
      manner: 4,
      poison: 0.5,
      unresolved: 1,
      d1: 1,
      pause: 2,
      jump: plan.clockJumps ? 1 : 0,
      heal: 1,
    });
    switch (fault) {
      case 'kill': {
        const victim = random.pick(world.hosts());
        scheduler.trace.add(`${victim.name} is killed`);
        victim.kill();
        break;
      }
      case 'manner': {
        const manner = random.pick(plan.manners);
        scheduler.trace.add(`${host} is ${manner}`);
        receivers.manners.set(host, MANNERS[manner] ?? {});
        break;
      }
      case 'poison':
        receivers.poison.set(host, random.pick(TYPES));
        break;
      case 'unresolved':
        scheduler.trace.add(`${host} can't be looked up`);
        receivers.unresolved.add(host);
        break;
      case 'd1':
        network.d1Down = !network.d1Down;
        scheduler.trace.add(network.d1Down ? 'D1 is down' : 'D1 is back');
        break;
      case 'pause':
        consumers.pauseOne(random.between(PAUSE_MIN_MS, PAUSE_MAX_MS));
        break;
      case 'jump':
        scheduler.jump(random.pick([-HOUR_MS, HOUR_MS]));
        break;
      case 'heal':
        receivers.heal();
        network.d1Down = false;
        break;
    }
  }
}

/** Everything works from here on. */
export function calm(world: World): void {
  world.network.faults = NO_NETWORK_FAULTS;
  world.network.d1Down = false;
  world.scheduler.killChance = 0;
  world.consumers.immortalise();
  world.receivers.heal();
}
