import { toBase64 } from '../base64.ts';
import type { QueuedEvent } from '../events/handed.ts';
import { hubSecrets, QUEUEING } from '../hub-secret.ts';
import type { Hmac } from '../platform.ts';
import { isSameToken } from '../subscriptions/ack-ids.ts';

/*
 * What the hub gives to a consumer's queue comes back to it by a dead letter queue, to which others may write as well. So it
 * carries a seal: `{id of the hub secret}.{base64 of an HMAC-SHA-256}` over the message's JSON without the seal. That is all
 * that is believed of it, the event too, which its topic may not have any more. As JSON it comes back as it went out, whatever
 * moves it: parsed and written again it is the same text.
 */

const ID_CHARACTERS = 8;
const MAC_CHARACTERS = 44;
const SEAL = new RegExp(`^([0-9a-f]{${ID_CHARACTERS}})\\.[A-Za-z0-9+/=]{${MAC_CHARACTERS}}$`);
/** What the seal adds to a message. */
export const SEAL_BYTES = ',"seal":"."'.length + ID_CHARACTERS + MAC_CHARACTERS;

export type HmacUnder = (key: Uint8Array) => Hmac;

export class Seals {
  readonly #id: string;
  /** By the ids of their secrets: the first in HUB_SECRET seals, all verify. */
  readonly #hmacs: ReadonlyMap<string, Hmac>;

  private constructor(id: string, hmacs: ReadonlyMap<string, Hmac>) {
    this.#id = id;
    this.#hmacs = hmacs;
  }

  /** Null: HUB_SECRET is none. */
  static under(hubSecret: string, hmacUnder: HmacUnder): Seals | null {
    const secrets = hubSecrets(hubSecret);
    if (secrets === null) return null;
    return new Seals(secrets[0].id, new Map(secrets.map(({ id, keyFor }) => [id, hmacUnder(keyFor(QUEUEING))])));
  }

  /** @param json of the message, without its seal */
  seal(json: Uint8Array): Promise<string> {
    return this.#sealUnder(this.#id, json);
  }

  /**
   * True if the hub has made this message as it is.
   *
   * @throws where it says to be sealed under a secret that HUB_SECRET does not hold: nobody can tell, until it does
   */
  async verify(message: QueuedEvent): Promise<boolean> {
    const { seal = '', ...rest } = message;
    const [, id] = SEAL.exec(seal) ?? [];
    const json = jsonOf(rest);
    return id !== undefined && json !== null && isSameToken(await this.#sealUnder(id, json), seal);
  }

  async #sealUnder(id: string, json: Uint8Array): Promise<string> {
    const hmac = this.#hmacs.get(id);
    if (hmac === undefined) {
      throw new Error(
        `It is sealed under the hub secret ${id}, which HUB_SECRET does not hold: add the HUB_SECRET of that time to it, ` +
          'after a comma.',
      );
    }
    return `${id}.${toBase64(await hmac(json))}`;
  }
}

/** Null: it is none. Others can put into a queue what JSON has no words for. */
function jsonOf(value: unknown): Uint8Array | null {
  try {
    return new TextEncoder().encode(JSON.stringify(value));
  } catch {
    return null;
  }
}

let current: { hubSecret: string; seals: Seals | null } | null = null;

/** Those of HUB_SECRET, made once in an isolate. */
export function sealsOf(hubSecret: string, hmacUnder: HmacUnder): Seals | null {
  if (current?.hubSecret !== hubSecret) current = { hubSecret, seals: Seals.under(hubSecret, hmacUnder) };
  return current.seals;
}
