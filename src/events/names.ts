/** Only the hub publishes to topics under this prefix, and no wildcard matches them. */
const RESERVED_PREFIX = 'millrace.';

/** The rule in words, for whoever broke it. */
export const NAME_RULE =
  'must be 1 to 200 of a-z, 0-9, ".", "_", "-", begin and end with a letter or digit, and have no ".." in it';

export const TOPIC_PATTERN_RULE =
  'must be a topic name, in which "*" may stand for one token and a final ">" for one or more; topics under "millrace." are named in full';

/** The names of topics, sources, schema subjects, subscriptions, routes, projections and keys. */
export const NAME = /^(?!.*\.\.)[a-z0-9](?:[a-z0-9._-]{0,198}[a-z0-9])?$/;

/** Whether a text keeps {@link NAME}. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** The name of a topic; what only the hub may publish to counts (see `isReservedTopic`). */
export function isTopicName(text: string): boolean {
  return isName(text);
}

export const BINDING_LENGTH_MAX = 100;
export const BINDING = /^[A-Za-z_$][\w$]*$/;

/** The name of a binding of the hub's Worker, whether it has that or not. */
export function isBindingName(text: string): boolean {
  return text.length <= BINDING_LENGTH_MAX && BINDING.test(text);
}

export function isReservedTopic(topic: string): boolean {
  return topic.startsWith(RESERVED_PREFIX);
}

/** A topic name, or a pattern with `*` for a token or a final `>` for the rest. */
export function isTopicPattern(text: string): boolean {
  if (!hasWildcard(text)) return isTopicName(text);
  // It could match nothing: better refused than a subscription that waits for ever.
  if (isReservedTopic(text)) return false;
  const tokens = text.split('.');
  const plain = tokens.map((token, index) =>
    token === '*' || (token === '>' && index === tokens.length - 1) ? 'a' : token,
  );
  return isTopicName(plain.join('.'));
}

export function hasWildcard(pattern: string): boolean {
  return pattern.includes('*') || pattern.includes('>');
}

/** Whether a valid pattern matches a valid topic name. */
export function topicMatches(pattern: string, topic: string): boolean {
  if (!hasWildcard(pattern)) return pattern === topic;
  return !isReservedTopic(topic) && tokensCover(pattern.split('.'), topic.split('.'));
}

/** Whether every topic that `inner` can match also matches `outer`: what a scope for `outer` is enough for. */
export function patternCovers(outer: string, inner: string): boolean {
  if (!hasWildcard(inner)) return topicMatches(outer, inner);
  return hasWildcard(outer) && tokensCover(outer.split('.'), inner.split('.'));
}

function tokensCover(outer: string[], inner: string[]): boolean {
  for (const [index, token] of outer.entries()) {
    const other = inner[index];
    if (other === undefined) return false;
    if (token === '>') return true;
    if (other === '>' || (token !== '*' && token !== other)) return false;
  }
  return outer.length === inner.length;
}
