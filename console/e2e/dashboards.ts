// The dashboards that are opened with a stopwatch: ours, and those of other products beside it. Each
// says where it is, what must stand on the page before a person can read it, and how one signs in.

import type { BrowserContext } from 'playwright-core';

/** What is looked for, in every frame, from inside of the page. */
export interface Standing {
  /** Selectors, and how many of each must be there. */
  readonly there: readonly (readonly [selector: string, count: number])[];
  /** What must no longer be there: outlines and spinners. */
  readonly gone: string;
  /** What is below the first screen does not count, neither for nor against. */
  readonly isFirstScreen: boolean;
}

export interface Dashboard {
  readonly path: string;
  readonly standing: Standing;
  readonly signIn: (context: BrowserContext, url: string, token: string) => Promise<unknown>;
}

const withoutSignIn = (): Promise<void> => Promise.resolve();

// A chart of Recharts, which all three peers draw with, that has at least one bar or line in it.
const DRAWN = ':has(.recharts-bar-rectangle path, .recharts-line path, .recharts-area path)';

const tallygate: Dashboard = {
  path: '/console/overview',
  standing: {
    there: [
      ['.tile dd', 6],
      ['main .panel canvas', 2],
    ],
    gone: '.chart-waiting, main .outline',
    isFirstScreen: false,
  },
  signIn: (context, _url, token) =>
    context.addInitScript((kept) => {
      sessionStorage.setItem('tallygate.adminToken', kept);
    }, token),
};

/** The metrics of its first project: traces, latency, cost, top models. */
const phoenix: Dashboard = {
  path: '/projects/UHJvamVjdDox/metrics',
  standing: {
    there: [[`.chart-panel${DRAWN}`, 4]],
    gone: '.chart-skeleton, [role="progressbar"]',
    isFirstScreen: true,
  },
  signIn: withoutSignIn,
};

/** The usage of its AI gateway: requests and latency, with more below. */
const mlflow: Dashboard = {
  path: '/#/gateway/usage',
  standing: {
    there: [[`.recharts-wrapper${DRAWN}`, 2]],
    gone: '[class*="skeleton"], [aria-busy="true"]',
    isFirstScreen: true,
  },
  signIn: withoutSignIn,
};

/** The frame of its usage page: without a database there are zeros in it, and an empty chart. */
const litellm: Dashboard = {
  path: '/ui/usage/',
  standing: { there: [['.recharts-wrapper', 1]], gone: '[aria-busy="true"]', isFirstScreen: true },
  signIn: (context, url, token) =>
    context.addCookies([{ name: 'token', value: sessionOf(token), url }]),
};

/** What its page reads of a session; only its server, which is not asked here, checks the mark. */
function sessionOf(key: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const session = { key, user_id: 'default_user_id', user_role: 'proxy_admin' };
  const more = { login_method: 'username_password', auth_header_name: 'Authorization' };
  return [part({ alg: 'HS256', typ: 'JWT' }), part({ ...session, ...more }), 'unsigned'].join('.');
}

export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  tallygate,
  phoenix,
  mlflow,
  litellm,
};
