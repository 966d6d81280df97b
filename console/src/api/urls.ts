// The one maker of URLs: of the console's own pages and of the API's calls.

/** Every page by name. A page's path is here and nowhere else. */
export const PAGES = {
  overview: '/console/overview',
  start: '/console/start',
  keys: '/console/keys',
  tokens: '/token-dashboard',
  teams: '/console/teams',
  users: '/console/users',
  routes: '/console/routes',
  difyApps: '/console/dify-apps',
  edge: '/console/edge',
  providers: '/console/providers',
  usage: '/console/usage',
  anomalies: '/console/anomalies',
  live: '/console/live',
  models: '/console/models',
  rate: '/console/exchange-rate',
  calculator: '/console/calculator',
  wallets: '/console/wallets',
  redeem: '/console/redeem-codes',
  budgets: '/console/budgets',
  charges: '/console/charges',
  deadLetters: '/console/dead-letters',
  unpaid: '/console/unpaid',
  credentials: '/console/credentials',
  alerts: '/console/alerts',
  audit: '/console/audit',
  settings: '/console/settings',
  dify: '/dify-test',
  balance: '/console/balance',
  history: '/console/history',
  notices: '/console/notices',
  ownKeys: '/console/my-keys',
  account: '/console/account',
} as const;

export type PageName = keyof typeof PAGES;
export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | null | undefined>
>;

/** A page's address, with what its table or form should begin with. */
export function pageUrl(name: PageName, query: Query = {}): string {
  return PAGES[name] + searchOf(query);
}

/** An API call's address: `{names}` in the path are filled in and encoded. */
export function apiUrl(
  path: string,
  values: Readonly<Record<string, string | number>> = {},
  query: Query = {},
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined || value === '') throw new Error(`${path} needs ${name}`);
    return encodeURIComponent(String(value));
  });
  return filled + searchOf(query);
}

/** Where the server sends a browser back to after signing in elsewhere: only a path of ours. */
export function localPath(path: string | null): string {
  const isLocal = path !== null && /^\/(?![/\\])[^\\]*$/.test(path);
  return isLocal ? path : '/';
}

function searchOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue;
    const many = Array.isArray(value) ? (value as readonly string[]) : [String(value)];
    for (const one of many) search.append(name, one);
  }
  const text = search.toString();
  return text && `?${text}`;
}
