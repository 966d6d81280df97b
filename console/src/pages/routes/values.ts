// A route as the form holds it, and as the API takes it.

import { api } from '../../api/client';
import { type LimitRow, routeLimitOf, rowOf } from '../../ui/limits';
import { type HeaderRow, headersOf, rowsOf } from './headers';
import type { Route } from './Routes';

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
export const DEADLINES = ['connect_ms', 'first_byte_ms', 'between_bytes_ms', 'total_ms'] as const;
type Method = (typeof METHODS)[number];
type Deadlines = Record<(typeof DEADLINES)[number], number | null>;

export interface Values extends Deadlines {
  path: string;
  backend_url: string;
  host: string;
  methods: Method[];
  scope: string;
  strip_prefix: boolean;
  rewrite: string;
  is_active: boolean;
  request_headers: HeaderRow[];
  response_headers: HeaderRow[];
  limits: LimitRow[];
  credentials: string;
  credential_header: string;
  credential_query: string;
}

export function initialOf(route: Route | null): Values {
  return {
    path: route?.path ?? '',
    backend_url: route?.backend_url ?? '',
    host: route?.host ?? '',
    methods: METHODS.filter((one) => route?.methods?.includes(one)),
    scope: route?.scope ?? '',
    strip_prefix: route?.strip_prefix ?? false,
    rewrite: route?.rewrite ?? '',
    is_active: route?.is_active ?? true,
    request_headers: route ? rowsOf(route.request_headers) : [],
    response_headers: route ? rowsOf(route.response_headers) : [],
    limits: route?.limits.map(rowOf) ?? [],
    connect_ms: route?.connect_ms ?? null,
    first_byte_ms: route?.first_byte_ms ?? null,
    between_bytes_ms: route?.between_bytes_ms ?? null,
    total_ms: route?.total_ms ?? null,
    credentials: route?.credentials ?? '',
    credential_header: route?.credential_header ?? '',
    credential_query: route?.credential_query ?? '',
  };
}

export function save(route: Route | null, values: Values) {
  const body = bodyOf(route, values);
  return route
    ? api.patch('/api/routes/{id}', { path: { id: route.id }, body })
    : api.post('/api/routes', { body });
}

function bodyOf(route: Route | null, values: Values) {
  // A deadline that is left empty stays as it is, or as usual.
  const given = DEADLINES.flatMap((name) =>
    values[name] === null ? [] : [[name, values[name]] as const],
  );
  const deadlines: Partial<Record<(typeof DEADLINES)[number], number>> = Object.fromEntries(given);
  return {
    path: values.path.trim(),
    backend_url: values.backend_url.trim(),
    host: textOf(values.host),
    methods: values.methods.length > 0 ? values.methods : null,
    scope: textOf(values.scope),
    strip_prefix: values.strip_prefix,
    rewrite: textOf(values.rewrite),
    is_active: values.is_active,
    request_headers: headersOf(values.request_headers, route?.request_headers),
    response_headers: headersOf(values.response_headers, route?.response_headers),
    limits: values.limits.map(routeLimitOf),
    ...deadlines,
    credentials: textOf(values.credentials),
    credential_header: textOf(values.credential_header),
    credential_query: textOf(values.credential_query),
  };
}

function textOf(typed: string | undefined): string | null {
  const text = typed?.trim() ?? '';
  return text === '' ? null : text;
}
