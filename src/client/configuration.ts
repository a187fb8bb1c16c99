import type { Answer, Body, CallOptions, Query } from './connection.ts';
import { Resource } from './resource.ts';

export type Config = Answer<'GET /v1/config'>;
export type AppliedConfig = Answer<'PUT /v1/config'>;

export interface ConfigOptions extends CallOptions {
  /** Seals the secrets into the document, and opens them in it. Without it they are left out. */
  passphrase?: string;
}

const PASSPHRASE_HEADER = 'millrace-secrets-passphrase';

/** The whole configuration as one document: `hub.config`. */
export class Configuration extends Resource {
  get({ passphrase, signal }: ConfigOptions = {}): Promise<Config> {
    return this.connection.call('GET /v1/config', { headers: headersOf(passphrase), signal });
  }

  /** Makes and changes what the document has, and deletes nothing. With `dryRun` it only says what it would do. */
  put(
    config: Body<'PUT /v1/config'>,
    { passphrase, signal, ...query }: Query<'PUT /v1/config'> & ConfigOptions = {},
  ): Promise<AppliedConfig> {
    return this.connection.call('PUT /v1/config', { body: config, query, headers: headersOf(passphrase), signal });
  }
}

function headersOf(passphrase: string | undefined): Record<string, string> {
  return passphrase === undefined ? {} : { [PASSPHRASE_HEADER]: passphrase };
}
