import { addressVerdict } from './addresses.ts';
import { NAME_TTL_MAX_MS, NAME_TTL_MIN_MS, NameCache } from './name-cache.ts';
import { type Resolution, type ResolverPorts, resolve } from './resolver.ts';
import { type UrlRefusal, type UrlRules, type UrlRulesOptions, urlRules } from './url-rules.ts';

/** Whether a webhook may be sent to a URL: by the URL itself, and by all that its name resolves to (promise P7). */

export type GuardVerdict =
  /** `url` as it was read: fetch this one. */
  { ok: true; url: string } | Refused;

interface Refused {
  ok: false;
  /** `look-up-failed`: nothing is known, ask again later; all others are final for now. */
  code: UrlRefusal | 'name-unknown' | 'look-up-failed';
  detail: string;
}

export interface UrlGuard {
  /** Never throws. */
  check(url: string): Promise<GuardVerdict>;
}

export interface UrlGuardOptions extends UrlRulesOptions {
  /** URL of the DNS over HTTPS resolver; empty: names are let through without being looked up. */
  resolver: string;
}

/** Where the variable DNS_RESOLVER is not set at all. */
export const DEFAULT_RESOLVER = 'https://cloudflare-dns.com/dns-query';

/** After a look-up that failed, milliseconds until the next: the events of a lease don't each ask. */
export const LOOK_UP_AGAIN_MS = 1_000;

/** Of a name: that all it resolves to is public, or what is wrong with it. */
type NameVerdict = { ok: true } | Refused;

/** What this isolate has found, by one resolver. */
let found = { resolver: '', names: new NameCache<NameVerdict>() };

/**
 * A guard for one invocation. What it finds is shared by the isolate; a look-up under way is not, since the runtime may
 * end it with the invocation that began it.
 */
export function urlGuard(options: UrlGuardOptions, ports: ResolverPorts): UrlGuard {
  const rules = urlRules(options);
  if (options.resolver === '') return { check: async (url) => rules.check(url) };
  if (found.resolver !== options.resolver) found = { resolver: options.resolver, names: new NameCache() };
  return new LookingGuard(rules, resolverUrl(options.resolver, rules), found.names, ports);
}

class LookingGuard implements UrlGuard {
  readonly #rules: UrlRules;
  /** Null: the configured one is none. */
  readonly #resolver: string | null;
  readonly #names: NameCache<NameVerdict>;
  readonly #ports: ResolverPorts;
  readonly #underWay = new Map<string, Promise<NameVerdict>>();

  constructor(rules: UrlRules, resolver: string | null, names: NameCache<NameVerdict>, ports: ResolverPorts) {
    this.#rules = rules;
    this.#resolver = resolver;
    this.#names = names;
    this.#ports = ports;
  }

  async check(url: string): Promise<GuardVerdict> {
    const verdict = this.#rules.check(url);
    if (!verdict.ok || verdict.name === null) return verdict;
    const { name } = verdict;
    const judged = this.#names.get(name, this.#ports.clock.now()) ?? (await this.#look(name));
    return judged.ok ? verdict : judged;
  }

  /** Whoever asks for a name that is being looked up already waits for that look-up. */
  #look(name: string): Promise<NameVerdict> {
    const present = this.#underWay.get(name);
    if (present !== undefined) return present;
    const look = this.#lookUp(name).finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, look);
    return look;
  }

  async #lookUp(name: string): Promise<NameVerdict> {
    if (this.#resolver === null) {
      return {
        ok: false,
        code: 'look-up-failed',
        detail: 'The variable DNS_RESOLVER is not the https URL of a resolver.',
      };
    }
    const resolution = await resolve(name, this.#resolver, this.#ports);
    const verdict = judge(name, resolution);
    this.#names.set(name, verdict, this.#ports.clock.now(), holdsFor(resolution));
    return verdict;
  }
}

/** One address that is not public is enough: which of them a connection goes to is not ours to say. */
function judge(name: string, resolution: Resolution): NameVerdict {
  switch (resolution.outcome) {
    case 'failed':
      return { ok: false, code: 'look-up-failed', detail: resolution.detail };
    case 'none':
      return { ok: false, code: 'name-unknown', detail: `The name ${name} does not exist, or has no address.` };
    case 'found':
      for (const address of resolution.addresses) {
        const verdict = addressVerdict(address);
        if (!verdict.ok) {
          return {
            ok: false,
            code: 'address-not-public',
            detail: `${name} resolves to an address inside: ${verdict.detail}`,
          };
        }
      }
      return { ok: true };
  }
}

function holdsFor(resolution: Resolution): number {
  if (resolution.outcome === 'failed') return LOOK_UP_AGAIN_MS;
  if (resolution.outcome === 'none') return NAME_TTL_MIN_MS;
  return Math.min(Math.max(resolution.ttlMs, NAME_TTL_MIN_MS), NAME_TTL_MAX_MS);
}

/** By http only where the resolver's host is an allowed one, which is for a machine of one's own. */
function resolverUrl(resolver: string, rules: UrlRules): string | null {
  if (URL.parse(resolver)?.protocol === 'https:') return resolver;
  const verdict = rules.check(resolver);
  return verdict.ok ? verdict.url : null;
}
