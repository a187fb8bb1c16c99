import { Attaching } from './attaching.ts';
import { Attempts } from './attempts.ts';
import { Claiming } from './claiming.ts';
import { Configuration } from './configuration.ts';
import { Consent } from './consent.ts';
import { ConsumerDeaths } from './consumer-deaths.ts';
import type { Core } from './core.ts';
import { Deaths } from './deaths.ts';
import { DeliveryWatch } from './delivery-watch.ts';
import { Held } from './held.ts';
import { Lanes } from './lanes.ts';
import { Late } from './late.ts';
import { Leases } from './leases.ts';
import { LetterWork } from './letter-work.ts';
import { Metrics } from './metrics.ts';
import { Notices } from './notices.ts';
import { Order } from './order.ts';
import { Pulling } from './pulling.ts';
import { Receiver } from './receiver.ts';
import { Replays } from './replays.ts';
import { Secrets } from './secrets.ts';
import { Settling } from './settling.ts';
import { StatKeeping } from './stat-keeping.ts';
import { Successors } from './successors.ts';
import { Throttle } from './throttle.ts';
import { ToldHealth } from './told-health.ts';
import { Views } from './views.ts';
import { Watch } from './watch.ts';
import { Withdrawing } from './withdrawing.ts';

export type Parts = ReturnType<typeof putTogether>;

/** What a Subscription consists of, beside its core: who needs whom, and who is told by whom. */
export function putTogether(core: Core) {
  const order = new Order(core);
  const stats = new StatKeeping(core);
  const attempts = new Attempts(core, stats);
  const notices = new Notices(core);
  const deaths = new Deaths(core, notices);
  const throttle = new Throttle(core);
  const leases = new Leases(core, deaths, throttle);
  const withdrawing = new Withdrawing(core, leases, notices);
  const secrets = new Secrets(core);
  const claiming = new Claiming(core, { leases, deaths, order, secrets, throttle, withdrawing });
  const toldHealth = new ToldHealth(core, notices);
  const receiver = new Receiver(core, leases, throttle, toldHealth);
  const settling = new Settling(core, { leases, deaths, attempts, receiver, throttle, toldHealth });
  const late = new Late(core, { withdrawing, deaths, attempts, receiver });
  const held = new Held(core, settling, late);
  const attaching = new Attaching(core);
  const lanes = new Lanes(core, { leases, deaths, order, attaching, throttle, withdrawing });
  const consent = new Consent(core, leases);
  const configuration = new Configuration(core, { leases, withdrawing, attaching, secrets, notices, consent });
  const pulling = new Pulling(core, { claiming, lanes, configuration });
  const successors = new Successors(core, claiming, lanes);
  leases.offered = (made) => pulling.offer(made);
  leases.passedOn = (lease) => successors.take(lease);
  lanes.looked = () => {
    pulling.tellWhoRests();
    successors.look();
  };
  const letterWork = new LetterWork(core, deaths, withdrawing);
  const replays = new Replays(core, withdrawing, notices);
  const views = new Views(core, configuration, attempts, stats, receiver);
  const consumerDeaths = new ConsumerDeaths(core, { attempts, deaths, held, views });
  const deliveryWatch = new DeliveryWatch(core);
  const metrics = new Metrics(core, configuration, stats);
  const watch = new Watch(core, configuration, throttle);
  return {
    attaching,
    attempts,
    claiming,
    configuration,
    consent,
    consumerDeaths,
    deaths,
    deliveryWatch,
    held,
    lanes,
    leases,
    letterWork,
    metrics,
    notices,
    pulling,
    receiver,
    replays,
    secrets,
    settling,
    successors,
    throttle,
    views,
    watch,
    withdrawing,
  };
}
