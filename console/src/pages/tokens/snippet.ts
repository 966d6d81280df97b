// What to paste into a terminal to make the first call with a token.

interface Route {
  readonly path: string;
  readonly scope: string | null;
  readonly host: string | null;
  readonly methods: readonly string[] | null;
  readonly is_active: boolean;
}

export const NO_ROUTE = '/your-route';

/** A route that this token opens with a plain GET, or a path that says that it is to be replaced. */
export function pathFor(scopes: readonly string[], routes: readonly Route[]): string {
  const mayUse = (route: Route): boolean =>
    route.is_active &&
    route.host === null &&
    (route.methods === null || route.methods.includes('GET')) &&
    (route.scope === null || scopes.includes(route.scope) || scopes.includes('*'));
  return routes.find(mayUse)?.path ?? NO_ROUTE;
}

export function curlOf(origin: string, path: string, secret: string): string {
  const address = /^[\w\-./~%]+$/.test(path) ? origin + path : quoted(origin + path);
  return `curl ${address} \\\n  -H "X-API-Key: ${secret}"`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
