/** The hub's version, as package.json has it (a test compares them): webhooks and the OpenAPI document carry it. */
export const VERSION = '0.1.0';
