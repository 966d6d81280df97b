// The way to a backend and back: bodies stream both ways, a WebSocket passes as it is.

import { backendOrigin } from './decide';
import { answerFields, requestFields } from './headers';
import type { HeaderRules, Route } from './layout';
import { TIMED_OUT, UNREACHABLE, answerOf } from './refusals';

export const VIA = 'tallygate-edge';

export interface Outward {
  readonly request: Request;
  readonly route: Route;
  readonly rules: HeaderRules;
  readonly forwarded: string;
  readonly address: string;
  readonly requestId: string;
}

export const isWebSocket = (request: Request): boolean =>
  request.method === 'GET' && request.headers.get('upgrade')?.toLowerCase() === 'websocket';

export const isLoop = (request: Request): boolean =>
  (request.headers.get('via') ?? '').includes(VIA);

/** The backend's answer, or a 502 or 504 of our own. */
export async function forward(outward: Outward): Promise<Response> {
  const { request, route, forwarded, requestId } = outward;
  const late = new AbortController();
  let isAnswered = false;
  let stopWaiting = (): void => undefined;
  const { body, sent } = bodyOf(request);
  // As long as the request itself is on its way, its answer is not late.
  void sent.then(() => {
    if (isAnswered) return;
    const timer = setTimeout(() => late.abort(), route.first_byte_ms);
    stopWaiting = () => clearTimeout(timer);
  });
  try {
    const answer = await fetch(backendOrigin(route) + forwarded, {
      method: request.method,
      headers: headersOf(outward),
      body,
      redirect: 'manual',
      cache: 'no-store',
      signal: late.signal,
    });
    return answerTo(answer, route, requestId);
  } catch {
    return answerOf(late.signal.aborted ? TIMED_OUT : UNREACHABLE, requestId);
  } finally {
    isAnswered = true;
    stopWaiting();
  }
}

/** The request's body, and when all of it has gone out or will not. The runtime moves the bytes. */
function bodyOf(request: Request): { body: ReadableStream | null; sent: Promise<unknown> } {
  if (request.body === null) return { body: null, sent: Promise.resolve() };
  const length = request.headers.get('content-length');
  const way =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  const sent = request.body.pipeTo(way.writable).catch(() => undefined);
  return { body: way.readable, sent };
}

function headersOf({ request, rules, address, requestId }: Outward): Headers {
  const headers = new Headers(
    requestFields(request.headers, rules).map(([name, value]) => [name, value]),
  );
  if (isWebSocket(request)) headers.set('upgrade', 'websocket');
  headers.append('via', `1.1 ${VIA}`);
  headers.set('x-forwarded-host', request.headers.get('host') ?? '');
  headers.set('x-forwarded-for', address);
  headers.set('x-request-id', requestId);
  return headers;
}

function answerTo(answer: Response, route: Route, requestId: string): Response {
  const headers = new Headers();
  const fields = answerFields(answer.headers, route.response_headers, route.host === '');
  for (const [name, value] of fields) headers.append(name, value);
  headers.set('x-request-id', requestId);
  if (answer.webSocket !== null) {
    return new Response(null, { status: 101, webSocket: answer.webSocket, headers });
  }
  return new Response(answer.body, { status: answer.status, headers });
}
