import { globMatches } from '../events/globs.ts';
import { isBindingName, isName, isTopicPattern, patternCovers } from '../events/names.ts';

const PATTERN_SCOPES = ['publish', 'read', 'topics'] as const;
/** By the names that they are globs of. */
const GLOB_SCOPES = { subscriptions: isName, bindings: isBindingName } as const;
const PLAIN_SCOPES = [
  'replays',
  'dead-letters',
  'schemas',
  'sources',
  'routes',
  'projections',
  'metrics',
  'admin',
] as const;

type PatternScope = (typeof PATTERN_SCOPES)[number];
type GlobScope = keyof typeof GLOB_SCOPES;
type PlainScope = (typeof PLAIN_SCOPES)[number];

/** What a request needs. `on` is a topic or a topic pattern; for `subscriptions` and `bindings` the name of one. */
export type Need = { scope: PatternScope | GlobScope; on: string } | { scope: PlainScope };

export const SCOPE_FORMS = [
  ...PATTERN_SCOPES.map((scope) => `${scope}:PATTERN`),
  ...Object.keys(GLOB_SCOPES).map((scope) => `${scope}:GLOB`),
  ...PLAIN_SCOPES,
].join(', ');

/** True if `scope` is one of the forms in {@link SCOPE_FORMS}. */
export function isScope(scope: string): boolean {
  const [kind, target] = split(scope);
  if (target === null) return PLAIN_SCOPES.some((plain) => plain === kind);
  if (isGlobScope(kind)) return GLOB_SCOPES[kind](target.replaceAll('*', 'x'));
  return PATTERN_SCOPES.some((known) => known === kind) && isTopicPattern(target);
}

/** True if one of `scopes` grants the need; `admin` grants all. */
export function allows(scopes: readonly string[], need: Need): boolean {
  return scopes.some((scope) => {
    if (scope === 'admin' || scope === need.scope) return true;
    const [kind, target] = split(scope);
    if (kind !== need.scope || target === null || !('on' in need)) return false;
    return isGlobScope(kind) ? globMatches(target, need.on) : patternCovers(target, need.on);
  });
}

/** The topic patterns that `scopes` grant reading of; null: all, the hub's own topics among them. */
export function readable(scopes: readonly string[]): string[] | null {
  if (scopes.includes('admin')) return null;
  return scopes.flatMap((scope) => {
    const [kind, target] = split(scope);
    return kind === 'read' && target !== null ? [target] : [];
  });
}

/** How a need is written in a key's scopes, for messages. */
export function describeNeed(need: Need): string {
  return 'on' in need ? `${need.scope}:${need.on}` : need.scope;
}

function isGlobScope(kind: string): kind is GlobScope {
  return Object.hasOwn(GLOB_SCOPES, kind);
}

function split(scope: string): [kind: string, target: string | null] {
  const colon = scope.indexOf(':');
  return colon < 0 ? [scope, null] : [scope.slice(0, colon), scope.slice(colon + 1)];
}
