// What a call can come back with: a value, or an error that is a value, too.

export interface ApiError {
  /** Stable, for programs: one of docs/reference/errors.md, or `unreachable`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  readonly requestId: string;
  /** 0 when no answer came at all. */
  readonly status: number;
  /** The field that it is about, where the server says one. */
  readonly param?: string;
}

export type Result<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ApiError };

/** The error as an exception, for TanStack Query, which knows no other. */
export class CallFailed extends Error {
  constructor(readonly error: ApiError) {
    super(error.message);
  }
}

export function valueOf<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new CallFailed(result.error);
}

export function errorOf(thrown: unknown): ApiError {
  if (thrown instanceof CallFailed) return thrown.error;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'unforeseen', message, requestId: '', status: 0 };
}

/** Whether asking again may help: nothing answered, or the server says that it is its own fault. */
export function isPassing(error: ApiError): boolean {
  return error.status === 0 || error.status >= 500 || error.status === 429;
}

/** Which field of a form a refusal is about: the server says it, or names it first, in backticks. */
export function fieldOf(error: ApiError): { name: string; reason: string } | null {
  const found = /^(?:`([\w.]+)(?:\[[^`]*)?`:?|([\w.]+):)\s*(.*)$/s.exec(error.message);
  const said = error.param ? /^\w+/.exec(error.param)?.[0] : found?.[1]?.split('.')[0];
  if (!said) return null;
  const isSaidFirst = [found?.[1], found?.[2]].some((one) => one?.split('.')[0] === said);
  return { name: said, reason: (isSaidFirst && found?.[3]) || error.message };
}
