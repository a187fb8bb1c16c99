/** Namespace of every key until there are several. */
const NAMESPACE = 'default';

/** The name of the object that counts what a key publishes: `{namespace}/{key id}`. It can't be changed later. */
export function quotaName(keyId: string): string {
  return `${NAMESPACE}/${keyId}`;
}
