/**
 * Node code sees the globals of both platforms, and a `URL` is then workerd's. Node's own functions want the iterators of its
 * `URLSearchParams` to be disposable, which they are in Node.
 */
interface URLSearchParams {
  entries(): NodeJS.Iterator<[string, string]> & Disposable;
  keys(): NodeJS.Iterator<string> & Disposable;
  values(): NodeJS.Iterator<string> & Disposable;
  [Symbol.iterator](): NodeJS.Iterator<[string, string]> & Disposable;
}
