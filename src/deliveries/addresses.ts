import ipaddr from 'ipaddr.js';

/**
 * Which addresses a webhook may reach. Separate from the URL, so that what a name resolves to can be judged too.
 * The ranges are IANA's special-purpose registries as Hook0 collected them; each is refused as a whole.
 */
export type AddressVerdict = { ok: true } | { ok: false; detail: string };

const V4_REFUSED = ranges({
  '0.0.0.0/8': 'this network',
  '10.0.0.0/8': 'private',
  '100.64.0.0/10': 'shared by carriers',
  '127.0.0.0/8': 'loopback',
  '169.254.0.0/16': 'link-local, cloud metadata',
  '172.16.0.0/12': 'private',
  '192.0.0.0/24': 'protocol assignments',
  '192.0.2.0/24': 'documentation',
  '192.88.99.0/24': '6to4 relays',
  '192.168.0.0/16': 'private',
  '198.18.0.0/15': 'benchmarks',
  '198.51.100.0/24': 'documentation',
  '203.0.113.0/24': 'documentation',
  '224.0.0.0/4': 'multicast',
  '240.0.0.0/4': 'reserved, broadcast',
});

/** The well-known prefix of NAT64 (RFC 6052): the IPv4 address inside is the one reached, and is judged. */
const NAT64 = range('64:ff9b::/96');

const V6_REFUSED = ranges({
  '::/8': 'loopback, unspecified, or an IPv4 address in disguise',
  '100::/64': 'discard',
  '2001::/23': 'Teredo and protocol assignments',
  '2001:db8::/32': 'documentation',
  '2002::/16': '6to4, an IPv4 address in disguise',
  '3fff::/20': 'documentation',
  '5f00::/16': 'segment routing',
  'fc00::/7': 'private',
  'fe80::/10': 'link-local',
  'fec0::/10': 'site-local',
  'ff00::/8': 'multicast',
});

/** Everything that is global unicast today (RFC 4291); the rest of IPv6 is unassigned. */
const V6_GLOBAL = range('2000::/3');

const IPV4_BYTES = 4;
/** ISATAP (RFC 5214) puts this, or it with the universal bit set, before the IPv4 address it tunnels to. */
const ISATAP = ['0,0,94,254', '2,0,94,254'];

/** Is it one, in any spelling? An IPv6 zone means nothing to others, so an address with one is none. */
export function isAddress(ip: string): boolean {
  return ipaddr.isValid(ip) && !ip.includes('%');
}

/** @param ip an IPv4 or IPv6 address in any of its spellings, without brackets. */
export function addressVerdict(ip: string): AddressVerdict {
  if (!isAddress(ip)) return { ok: false, detail: `${ip} is not an address.` };
  const address = ipaddr.parse(ip);
  if (address.kind() === 'ipv4') return refusedBy(V4_REFUSED, address);
  const bytes = address.toByteArray();
  const embedded = bytes.slice(-IPV4_BYTES).join('.');
  if (address.match(NAT64.cidr)) return addressVerdict(embedded);
  if (ISATAP.includes(bytes.slice(-2 * IPV4_BYTES, -IPV4_BYTES).join(','))) {
    const inside = addressVerdict(embedded);
    if (!inside.ok) return inside;
  }
  const verdict = refusedBy(V6_REFUSED, address);
  if (verdict.ok && !address.match(V6_GLOBAL.cidr)) {
    return { ok: false, detail: `${address.toString()} is not a public address (not global unicast).` };
  }
  return verdict;
}

interface Range {
  name: string;
  what: string;
  cidr: ReturnType<typeof ipaddr.parseCIDR>;
}

function refusedBy(refused: Range[], address: ReturnType<typeof ipaddr.parse>): AddressVerdict {
  const hit = refused.find(({ cidr }) => address.match(cidr));
  return hit === undefined
    ? { ok: true }
    : { ok: false, detail: `${address.toString()} is not a public address (${hit.what}, ${hit.name}).` };
}

function ranges(list: Record<string, string>): Range[] {
  return Object.entries(list).map(([name, what]) => range(name, what));
}

function range(name: string, what = ''): Range {
  return { name, what, cidr: ipaddr.parseCIDR(name) };
}
