import { fromBase64 } from '../base64.ts';

/** What verifies webhooks: the keys of the Standard Webhooks specification, by WebCrypto. */

export type WebhookScheme = 'v1' | 'v1a';

export interface Verifier {
  scheme: WebhookScheme;
  /** In constant time. */
  verifies(signature: Uint8Array<ArrayBuffer>, content: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

const PUBLIC_KEY_BYTES = 32;
const PAIR_BYTES = 64;

/** Null where the key is none that the specification knows. @throws where the platform has no Ed25519 */
export async function verifierOf(key: string): Promise<Verifier | null> {
  const [prefix = '', text = ''] = splitOnce(key, '_');
  const bytes = fromBase64(text);
  if (bytes === null || bytes.length === 0) return null;
  switch (prefix) {
    case 'whsec':
      return shared(bytes);
    case 'whpk':
      return bytes.length === PUBLIC_KEY_BYTES ? publicKey(bytes) : null;
    case 'whsk':
      // A private key has its public one behind it.
      return bytes.length === PAIR_BYTES ? publicKey(bytes.slice(PUBLIC_KEY_BYTES)) : null;
    default:
      return null;
  }
}

async function shared(bytes: Uint8Array): Promise<Verifier> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', Uint8Array.from(bytes), algorithm, false, ['verify']);
  return { scheme: 'v1', verifies: (signature, content) => crypto.subtle.verify('HMAC', key, signature, content) };
}

async function publicKey(bytes: Uint8Array): Promise<Verifier> {
  const key = await crypto.subtle.importKey('raw', Uint8Array.from(bytes), { name: 'Ed25519' }, false, ['verify']);
  return { scheme: 'v1a', verifies: (signature, content) => crypto.subtle.verify('Ed25519', key, signature, content) };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}
