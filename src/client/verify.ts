import { fromBase64 } from '../base64.ts';
import { zeroOrMore } from './numbers.ts';
import { type ReceivedWebhook, receivedWebhook } from './webhook.ts';
import { verifierOf } from './webhook-key.ts';

/** Webhooks' signatures (Standard Webhooks): who sent it, and that nothing was changed. */

/** Why a webhook is not taken. Answer it with 400; the hub counts that as a failed attempt. */
export type VerificationCode =
  /** One of the `webhook-` headers is missing, or is none. */
  | 'missing-header'
  /** The clocks differ by more than the tolerance, or somebody sends again what was sent long ago. */
  | 'timestamp-out-of-range'
  /** Signed by nobody whose key was given, or changed on its way. */
  | 'no-matching-signature'
  /** What was given as a key is none. */
  | 'invalid-key'
  /** The platform has no Ed25519 (browsers before Chrome 137, Firefox 129, Safari 17). */
  | 'unsupported'
  /** It is signed, and it is no event. */
  | 'invalid-body';

export class VerificationError extends Error {
  override readonly name = 'VerificationError';
  readonly code: VerificationCode;

  constructor(code: VerificationCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface VerifyOptions {
  /** How far the webhook's time may be from now, seconds. 300 by default. */
  toleranceSeconds?: number;
  /**
   * The format of the subscription: a webhook of another is not taken. Without it the headers say which it is, and headers are not
   * signed: who can change them can have a signed body read as something else.
   */
  format?: ReceivedWebhook['format'];
}

/** A request as a server has it: of the fetch interface, or its headers and its raw body. */
export type WebhookRequest =
  | { headers: Headers; arrayBuffer(): Promise<ArrayBuffer> }
  | { headers: Headers | Record<string, string | string[] | undefined>; body: string | Uint8Array };

export const TOLERANCE_SECONDS = 300;
/** The hub sends two at most. */
const SIGNATURES_MAX = 8;
const ENCODER = new TextEncoder();
const NO_KEY = 'There is no key: is the secret set?';

/**
 * Checks who a webhook is from, and reads what it brings. Give both keys while a secret is being rotated.
 *
 * @param keys `whsec_…`, or `whpk_…` for Ed25519: one or several, of which one has to fit.
 * @throws VerificationError, and TypeError for a tolerance that is none
 */
export async function verify<Data = unknown>(
  request: WebhookRequest,
  keys: string | readonly string[],
  { toleranceSeconds = TOLERANCE_SECONDS, format }: VerifyOptions = {},
): Promise<ReceivedWebhook<Data>> {
  // Where types are not checked: a secret that is not set.
  if (typeof keys !== 'string' && !Array.isArray(keys)) {
    throw new VerificationError('invalid-key', NO_KEY);
  }
  const headers = headersOf(request.headers);
  const id = required(headers, 'webhook-id');
  const timestamp = required(headers, 'webhook-timestamp');
  const signatures = required(headers, 'webhook-signature');
  const seconds = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN;
  if (Number.isNaN(seconds)) throw new VerificationError('missing-header', 'The webhook-timestamp is no number.');
  if (Math.abs(Date.now() / 1000 - seconds) > zeroOrMore('toleranceSeconds', toleranceSeconds)) {
    throw new VerificationError(
      'timestamp-out-of-range',
      `The webhook-timestamp is not within ${toleranceSeconds} s of now.`,
    );
  }
  const body = await bodyOf(request);
  const content = joined(ENCODER.encode(`${id}.${timestamp}.`), body);
  if (!(await isSigned(content, signatures, typeof keys === 'string' ? [keys] : keys))) {
    throw new VerificationError('no-matching-signature', 'No signature fits the body and a key.');
  }
  try {
    return receivedWebhook<Data>(id, seconds, headers, body, format);
  } catch (cause) {
    throw new VerificationError('invalid-body', `The webhook is signed, and can't be read: ${cause}`, cause);
  }
}

function required(headers: Headers, name: string): string {
  const value = headers.get(name);
  if (value === null || value === '') throw new VerificationError('missing-header', `There is no ${name} header.`);
  return value;
}

async function isSigned(content: Uint8Array<ArrayBuffer>, header: string, keys: readonly string[]): Promise<boolean> {
  const signatures = header.split(' ', SIGNATURES_MAX).map((signature) => {
    const [scheme = '', text = ''] = signature.split(',', 2);
    return { scheme, bytes: fromBase64(text) };
  });
  for (const key of keys) {
    const verifier = await verifierFor(key);
    for (const { scheme, bytes } of signatures) {
      if (scheme !== verifier.scheme || bytes === null) continue;
      if (await verifier.verifies(Uint8Array.from(bytes), content)) return true;
    }
  }
  return false;
}

async function verifierFor(key: string) {
  if (typeof key !== 'string') throw new VerificationError('invalid-key', NO_KEY);
  try {
    const verifier = await verifierOf(key);
    if (verifier !== null) return verifier;
  } catch (cause) {
    throw new VerificationError('unsupported', 'This platform has no Ed25519; use a whsec_ secret.', cause);
  }
  throw new VerificationError('invalid-key', 'A key is whsec_… or whpk_…, as the hub shows it.');
}

function headersOf(headers: Headers | Record<string, string | string[] | undefined>): Headers {
  if (headers instanceof Headers) return headers;
  const copy = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    // HTTP/2 has what it asks for among its headers (RFC 9113, 8.3).
    if (name.startsWith(':')) continue;
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) copy.append(name, one);
  }
  return copy;
}

async function bodyOf(request: WebhookRequest): Promise<Uint8Array> {
  if (!('arrayBuffer' in request)) {
    return typeof request.body === 'string' ? ENCODER.encode(request.body) : request.body;
  }
  return new Uint8Array(await request.arrayBuffer());
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(head.length + body.length);
  whole.set(head);
  whole.set(body, head.length);
  return whole;
}
