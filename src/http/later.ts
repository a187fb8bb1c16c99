import type { Method } from './route.ts';

/** Paths that api.md promises and this version does not have. `{x}` is one segment, a final `**` any rest. */
export interface LaterPath {
  path: string;
  methods?: readonly Method[];
  /** Needs no key. */
  open?: true;
}

export const LATER_PATHS: readonly LaterPath[] = [
  { path: '/v1/events' },
  { path: '/v1/topics/{topic}/scheduled/**' },
  { path: '/v1/topics/{topic}/forks' },
  { path: '/v1/topics/{topic}/erase' },
  { path: '/v1/topics/{topic}/erasures' },
  { path: '/v1/projections/**' },
  { path: '/v1/schemas/**' },
  { path: '/v1/routes/**' },
  // Whoever sends to a source proves itself by its signature, so a POST needs no key.
  { path: '/v1/sources/{source}', methods: ['POST'], open: true },
  { path: '/v1/sources/**' },
  { path: '/registry/**' },
  { path: '/asyncapi.json' },
  { path: '/console/**', open: true },
];

/** The segments of a path that matches a template, by name; null if it does not match. */
export function matchPath(template: string, path: string): Record<string, string> | null {
  const wanted = template.split('/');
  const given = path.split('/');
  const rest = wanted.at(-1) === '**';
  if (rest) wanted.pop();
  if (rest ? given.length < wanted.length : given.length !== wanted.length) return null;
  const params: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined ? segment !== value : value === '') return null;
    if (name !== undefined) params[name] = value;
  }
  return params;
}

export function laterPath(path: string, method: string): LaterPath | null {
  return (
    LATER_PATHS.find(
      (later) => matchPath(later.path, path) !== null && (later.methods?.some((allowed) => allowed === method) ?? true),
    ) ?? null
  );
}
