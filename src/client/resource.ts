import type { Connection } from './connection.ts';

/** The calls of one resource of the interface. */
export abstract class Resource {
  protected readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }
}
