// Answers that say no: the codes, the statuses and the form of the gateway's own.

import { refusals } from '../../contract/route-vectors.json';
import type { Why } from './decide';
import type { Limit, Route } from './layout';

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refusalOf(why: Exclude<Why, 'ok'>, route: Route | null): Refusal {
  const refusal = { ...refusals[why], message: messageOf(why, route) };
  if (why !== 'method_not_allowed') return refusal;
  return { ...refusal, headers: { allow: (route?.methods ?? []).join(', ') } };
}

function messageOf(why: Exclude<Why, 'ok'>, route: Route | null): string {
  switch (why) {
    case 'bad_path':
      return 'Send a plain path: no dot-segments, no `//`, no encoded letters or separators.';
    case 'no_route':
      return 'There is nothing here.';
    case 'no_token':
      return 'No token was sent. Send it as `X-API-Key`.';
    case 'unknown_token':
      return 'This token is not known. Ask whoever runs this gateway for one.';
    case 'inactive':
      return 'This token has been deactivated.';
    case 'expired':
      return 'This token has expired.';
    case 'wrong_address':
      return 'This token may not be used from your address.';
    case 'wrong_scope':
      return `This token lacks the scope '${route?.scope ?? ''}'.`;
    case 'method_not_allowed':
      return `Send one of ${(route?.methods ?? []).join(', ')} here.`;
  }
}

export const LOOP: Refusal = {
  status: 422,
  code: 'impossible',
  message: 'This request has passed through this gateway before.',
};
export const KV_GONE: Refusal = {
  status: 503,
  code: 'store_unavailable',
  message: 'What may pass here can not be read; try again shortly.',
  headers: { 'retry-after': '5' },
};
export const WITHHELD: Refusal = {
  status: 503,
  code: 'store_unavailable',
  message: 'This route is not served at the edge; use the gateway itself.',
};
export const NO_COUNTER: Refusal = {
  status: 503,
  code: 'store_unavailable',
  message: 'What is limited here can not be counted; try again shortly.',
  headers: { 'retry-after': '5' },
};
export const UNREACHABLE: Refusal = {
  status: 502,
  code: 'upstream_unreachable',
  message: 'The service could not be reached.',
};
export const TIMED_OUT: Refusal = {
  status: 504,
  code: 'upstream_timeout',
  message: 'The service did not answer in time.',
};

/** Clients try again by themselves after a short window only. */
export function overLimit({ amount, span }: Limit, waitS: number): Refusal {
  const isShort = span === 'minute' || span === 'hour';
  const per =
    span === 'total' ? 'in all is used up.' : `per ${span} is used up; try again in ${waitS} s.`;
  return {
    status: 429,
    code: isShort ? 'rate_limit_exceeded' : 'insufficient_quota',
    message: `The limit of ${amount} requests ${per}`,
    headers: {
      ...(isShort ? {} : { 'x-should-retry': 'false' }),
      ...(span === 'total' ? {} : { 'retry-after': String(Math.max(1, waitS)) }),
    },
  };
}

export function answerOf(refusal: Refusal, requestId: string): Response {
  const { code, message } = refusal;
  return Response.json(
    { error: { code, message, request_id: requestId } },
    { status: refusal.status, headers: { ...refusal.headers, 'x-request-id': requestId } },
  );
}
