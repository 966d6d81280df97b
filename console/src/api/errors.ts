// What a call can come back with: a value, or an error that is a value, too.

export interface ApiError {
  /** Stable, for programs: one of docs/reference/errors.md, or `unreachable`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
  readonly requestId: string;
  /** 0 when no answer came at all. */
  readonly status: number;
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

/** Which field of a form a refusal is about: the server names it first, in backticks. */
export function fieldOf(error: ApiError): { name: string; reason: string } | null {
  const found = /^`([\w.]+)(?:\[[^`]*)?`:?\s*(.*)$/s.exec(error.message);
  if (!found?.[1]) return null;
  return { name: found[1].split('.')[0] ?? found[1], reason: found[2] || error.message };
}
