import { addressVerdict } from './addresses.ts';

/** Whether a webhook may be pointed at a URL, by the URL alone (promise P7: never inside). Pure: names are not looked up. */

export type UrlVerdict =
  /**
   * `url` as it was read: fetch this one, so that no second parser reads it differently. `name` is what has to resolve to
   * public addresses; null: an address itself, or a host that is allowed whatever it resolves to.
   */
  { ok: true; url: string; name: string | null } | { ok: false; code: UrlRefusal; detail: string };

export type UrlRefusal =
  | 'invalid-url'
  | 'scheme-not-allowed'
  | 'user-info-not-allowed'
  | 'port-not-allowed'
  | 'own-host'
  | 'address-not-public'
  | 'name-not-public';

export interface UrlRulesOptions {
  /**
   * Hosts that are let through although they would be refused, by http too: `host` (any port) or `host:port`, comma
   * separated. What can't be read as a host lets nothing through.
   */
  allowHosts: string;
  /** The hub's own hosts, in the same form. They are refused even where they are allowed. */
  hubHosts: string;
}

export interface UrlRules {
  check(url: string): UrlVerdict;
}

export const WEBHOOK_URL_LENGTH_MAX = 2_048;
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** Below this only the two above: services inside live there. */
const FREE_PORTS_FROM = 1_024;

/** Top-level names that never mean a public host: RFC 6761, 6762 (appendix G), 8375, ICANN's `internal`, Kubernetes. */
const INSIDE_NAMES = [
  'localhost',
  'localdomain',
  'local',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
  'svc',
];

/** One label of a name; `_` is no host name by the book, but receivers have it. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** URL parsers disagree on these, so that one may judge another host than the next one reaches. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const AMBIGUOUS = /[\u0000-\u0020\u007f\\]/;

/** The rules made last: a Worker's options are the same in all its invocations, and each asks for them. */
let latest: { options: UrlRulesOptions; rules: UrlRules } | null = null;

export function urlRules(options: UrlRulesOptions): UrlRules {
  const { allowHosts, hubHosts } = options;
  if (latest?.options.allowHosts !== allowHosts || latest.options.hubHosts !== hubHosts) {
    latest = { options: { allowHosts, hubHosts }, rules: makeRules(options) };
  }
  return latest.rules;
}

function makeRules(options: UrlRulesOptions): UrlRules {
  const allowed = readHosts(options.allowHosts);
  const own = readHosts(options.hubHosts);
  // One claim asks about one URL, again and again.
  let last: { url: string; verdict: UrlVerdict } | null = null;
  return {
    check(url) {
      if (last?.url !== url) last = { url, verdict: check(url, allowed, own) };
      return last.verdict;
    },
  };
}

function check(text: string, allowed: HostPattern[], own: HostPattern[]): UrlVerdict {
  if (text.length > WEBHOOK_URL_LENGTH_MAX) {
    return refused('invalid-url', `A webhook's URL has at most ${WEBHOOK_URL_LENGTH_MAX} characters.`);
  }
  if (AMBIGUOUS.test(text)) {
    return refused('invalid-url', 'A URL has no white space, control characters or backslashes: percent-encode them.');
  }
  const url = URL.parse(text);
  if (url === null) return refused('invalid-url', 'This is not an absolute URL.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return refused('scheme-not-allowed', `A webhook goes to https, not to ${url.protocol.slice(0, -1)}.`);
  }
  if (!/^https?:\/\/[^/?#]/i.test(text)) return refused('invalid-url', 'A URL has its host after the two slashes.');
  if (
    text
      .slice(text.indexOf('//') + 2)
      .split(/[/?#]/)[0]
      ?.includes('@')
  ) {
    return refused('user-info-not-allowed', 'A URL must not hold a user or password: use a header for that.');
  }
  const host = readUrl(url);
  if (own.some((other) => isSame(other, host) || isSameLoopback(other, host))) {
    return refused('own-host', `${url.host} is the hub itself.`);
  }
  if (allowed.some((other) => isSame(other, host))) return { ok: true, url: url.href, name: null };
  if (url.protocol !== 'https:') return refused('scheme-not-allowed', 'A webhook goes to https, not to http.');
  if (host.port !== HTTPS_PORT && host.port !== HTTP_PORT && host.port < FREE_PORTS_FROM) {
    return refused(
      'port-not-allowed',
      `Port ${host.port} is not allowed: ${HTTPS_PORT}, ${HTTP_PORT} and those from ${FREE_PORTS_FROM} on are.`,
    );
  }
  return checkHost(url.href, host.name);
}

/** `name` is as the URL parser writes it: every spelling of an IPv4 address has become four decimal numbers. */
function checkHost(url: string, name: string): UrlVerdict {
  const ip = literalAddress(name);
  if (ip !== null) {
    const verdict = addressVerdict(ip);
    return verdict.ok ? { ok: true, url, name: null } : refused('address-not-public', verdict.detail);
  }
  const labels = name.split('.');
  if (name.length > 253 || !labels.every((label) => LABEL.test(label))) {
    return refused('invalid-url', `"${name}" is not a host name.`);
  }
  if (labels.length === 1) return refused('name-not-public', `"${name}" has no domain: it means a host inside.`);
  const inside = INSIDE_NAMES.find((suffix) => name === suffix || name.endsWith(`.${suffix}`));
  if (inside !== undefined) return refused('name-not-public', `Names under "${inside}" mean hosts inside.`);
  return { ok: true, url, name };
}

interface Host {
  /** Lower case, without a final dot; IPv6 addresses in brackets. */
  name: string;
  port: number;
}

/** Null as port: any. */
interface HostPattern {
  name: string;
  port: number | null;
}

function readUrl(url: URL): Host {
  const scheme = url.protocol === 'http:' ? HTTP_PORT : HTTPS_PORT;
  return { name: url.hostname.replace(/\.$/, ''), port: url.port === '' ? scheme : Number(url.port) };
}

function readHosts(list: string): HostPattern[] {
  return list.split(',').flatMap((entry) => {
    const parts = /^(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(entry.trim());
    const url = parts === null ? null : URL.parse(`http://${parts[1]}/`);
    if (parts === null || url === null) return [];
    return [{ name: readUrl(url).name, port: parts[2] === undefined ? null : Number(parts[2]) }];
  });
}

function isSame(pattern: HostPattern, host: Host): boolean {
  return pattern.name === host.name && (pattern.port === null || pattern.port === host.port);
}

/** A hub on a laptop is reached by every loopback name; with a port known, that port of any of them is the hub. */
function isSameLoopback(pattern: HostPattern, host: Host): boolean {
  return pattern.port === host.port && isLoopback(pattern.name) && isLoopback(host.name);
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || /^127(\.\d+){3}$|^0\.0\.0\.0$|^\[::1?\]$/.test(name);
}

function literalAddress(name: string): string | null {
  if (name.startsWith('[')) return name.slice(1, -1);
  return /^\d+\.\d+\.\d+\.\d+$/.test(name) ? name : null;
}

function refused(code: UrlRefusal, detail: string): Extract<UrlVerdict, { ok: false }> {
  return { ok: false, code, detail };
}
