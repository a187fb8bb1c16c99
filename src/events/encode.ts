/** The content type of a structured event on its way out: exactly this, since some SDKs compare the string. */
export const STRUCTURED_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8';
