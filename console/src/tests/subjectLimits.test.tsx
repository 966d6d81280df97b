// @vitest-environment jsdom
// The limits of a user or a team: what there is, and that a failed reading never overwrites it.

import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { App } from 'antd';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AuthContext, type SignedIn } from '../auth/session';
import { SubjectLimits } from '../ui/SubjectLimits';

const LIMITS = [
  { dimension: 'requests', span: 'day', amount: 100, zone: 'Asia/Shanghai' },
  { dimension: 'points', span: 'month', amount: 2.5, amount_micros: 2500000, zone: 'UTC' },
];
const sent: { method: string; path: string; body: unknown }[] = [];

function serve(status: number, answer: object): void {
  vi.stubGlobal('fetch', (path: string, options: RequestInit) => {
    const body: unknown = typeof options.body === 'string' ? JSON.parse(options.body) : null;
    sent.push({ method: options.method ?? '', path, body });
    return Promise.resolve(Response.json(answer, { status }));
  });
}

function show(role: string): void {
  const who: SignedIn = { id: 'op', name: 'op', role, email: null } as unknown as SignedIn; // as far as it is read
  const auth = {
    state: { is: 'signedIn', who },
    withPassword: vi.fn(),
    withAdminToken: vi.fn(),
    signOut: vi.fn(),
    askAgain: vi.fn(),
  } as const;
  render(
    <AuthContext value={auth}>
      <App>
        <SubjectLimits path="/api/teams/{id}/limits" id="t/1" name="Blue" onClose={vi.fn()} />
      </App>
    </AuthContext>,
  );
}

beforeEach(() => {
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe = vi.fn();
      unobserve = vi.fn();
      disconnect = vi.fn();
    },
  );
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  sent.length = 0;
});

test('what is saved is what was there, each with its amount to the last digit and its zone', async () => {
  serve(200, { limits: LIMITS });
  show('operator');
  await screen.findByText('Limits of Blue');
  await userEvent.click(screen.getByRole('button', { name: 'Save' }));
  await waitFor(() => {
    expect(sent.at(-1)).toEqual({
      method: 'PUT',
      path: '/api/teams/t%2F1/limits',
      body: {
        limits: [
          { dimension: 'requests', span: 'day', amount: 100, zone: 'Asia/Shanghai' },
          { dimension: 'points', span: 'month', amount: '2.5', zone: 'UTC' },
        ],
      },
    });
  });
});

test('limits that could not be read are not overwritten', async () => {
  serve(503, { error: { code: 'store_unavailable', message: 'later', request_id: 'r' } });
  show('operator');
  await screen.findByText(/later/);
  await userEvent.click(screen.getByRole('button', { name: 'Save' }));
  expect(sent.every(({ method }) => method === 'GET')).toBe(true);
});

test('a viewer reads the limits and is offered no change', async () => {
  serve(200, { limits: LIMITS });
  show('viewer');
  await screen.findByText(/2\.5 points/);
  expect(screen.queryByRole('button', { name: 'Save' })).toBeNull();
});
