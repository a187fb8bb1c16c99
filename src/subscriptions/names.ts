/** Namespace of every subscription until there are several. */
const NAMESPACE = 'default';

/** The name of the object that is a subscription: `{namespace}/{name}`. It can't be changed later. */
export function subscriptionName(name: string): string {
  return `${NAMESPACE}/${name}`;
}

/** The subscription in an object's name, or null if it is not one of `subscriptionName`. */
export function subscriptionOfName(name: string): string | null {
  return /^[^/]+\/([^/]+)$/.exec(name)?.[1] ?? null;
}
