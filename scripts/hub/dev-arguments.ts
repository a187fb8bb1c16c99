/**
 * What `wrangler dev` is started with: the arguments of a person, who always wins, and what this project sets where they
 * say nothing. Of the person's arguments only those that the script itself has to know are read; all go on as they are.
 */

export const DEFAULT_PORT = 8787;
const DEFAULT_IP = '127.0.0.1';
const LOOPBACK_HOSTS = 'localhost,127.0.0.1,[::1]';
/** Without it the local queues run strictly one message after another. */
export const LOCAL_FLAG = 'queue_consumer_no_wait_for_wait_until';

export interface DevArguments {
  /** All arguments of `wrangler dev`. */
  dev: string[];
  /** Arguments that `wrangler d1 migrations apply` needs, to work on the same configuration and state. */
  shared: string[];
  /** Is it another configuration than wrangler.toml as it is? */
  isConfigured: boolean;
  /** Where the state is kept, if not where it usually is. */
  persistTo: string | undefined;
  /** The address to tell the person. */
  ip: string;
  /** `--var NAME:value` of the person and the script. */
  vars: Record<string, string>;
}

export function devArguments(given: readonly string[], configuredFlags: readonly string[]): DevArguments {
  const options = readOptions(given);
  const vars = keyValues(options.get('var') ?? []);
  const defaults: string[] = [];
  const whenUnset = (names: string[], ...args: string[]): void => {
    if (!names.some((name) => options.has(name))) defaults.push(...args);
  };

  whenUnset(['port'], '--port', String(DEFAULT_PORT));
  whenUnset(['ip'], '--ip', DEFAULT_IP);
  whenUnset(['inspector-port'], '--inspector-port', '0');
  whenUnset(['show-interactive-dev-session'], '--show-interactive-dev-session=false');
  whenUnset(['log-level'], '--log-level', 'warn');
  // Naming flags replaces those of wrangler.toml, so all are named.
  whenUnset(
    ['compatibility-flags', 'compatibility-flag'],
    ...[...configuredFlags, LOCAL_FLAG].flatMap((flag) => ['--compatibility-flags', flag]),
  );
  if (vars.WEBHOOK_ALLOW_HOSTS === undefined) {
    vars.WEBHOOK_ALLOW_HOSTS = LOOPBACK_HOSTS;
    defaults.push('--var', `WEBHOOK_ALLOW_HOSTS:${LOOPBACK_HOSTS}`);
  }

  if (vars.DNS_RESOLVER === undefined) {
    vars.DNS_RESOLVER = '';
    defaults.push('--var', 'DNS_RESOLVER:');
  }

  const valuesOf = (...names: string[]) => names.flatMap((name) => options.get(name) ?? []);
  // Of several configurations the first is the hub's: the others are Workers that run beside it.
  const config = valuesOf('config', 'c').at(0);
  const env = valuesOf('env', 'e').at(-1);
  const persistTo = valuesOf('persist-to').at(-1);
  const shared = Object.entries({ config, env, 'persist-to': persistTo }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  return {
    dev: ['dev', ...defaults, ...given],
    shared,
    isConfigured: config !== undefined || env !== undefined,
    persistTo,
    ip: options.get('ip')?.at(-1) ?? DEFAULT_IP,
    vars,
  };
}

/** What webhooks may reach, in a sentence. */
export function reach(allowedHosts: string): string {
  const hosts = allowedHosts
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  if (allowedHosts === LOOPBACK_HOSTS) return "Webhooks may reach this machine's loopback addresses.";
  return hosts.length === 0
    ? 'Webhooks may reach public hosts only.'
    : `Webhooks may reach public hosts, and ${hosts.join(', ')}.`;
}

/** `--name value`, `--name=value`, `-n value`; a name may come again, or take several values. */
function readOptions(args: readonly string[]): Map<string, string[]> {
  const options = new Map<string, string[]>();
  let current: string[] | null = null;
  for (const arg of args) {
    const option = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(arg);
    if (option?.[1] === undefined) {
      current?.push(arg);
      continue;
    }
    const name = option[1].replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    current = options.get(name) ?? [];
    options.set(name, current);
    if (option[2] !== undefined) current.push(option[2]);
  }
  return options;
}

function keyValues(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const colon = pair.indexOf(':');
      return colon < 0 ? [pair, ''] : [pair.slice(0, colon), pair.slice(colon + 1)];
    }),
  );
}
