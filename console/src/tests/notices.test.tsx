// @vitest-environment jsdom
// What is new to somebody is what their account has not seen, in every tab.

import { QueryClientProvider } from '@tanstack/react-query';
import { cleanup, configure, render, screen, waitFor } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { afterEach, expect, test, vi } from 'vitest';
import { makeQueryClient } from '../api/queries';
import { NewNotices } from '../pages/notices/NewNotices';
import Notices from '../pages/notices/Notices';

// A busy machine may be slow; what is awaited comes all the same.
configure({ asyncUtilTimeout: 20_000 });
vi.setConfig({ testTimeout: 60_000 });

const NOTICE = {
  ...{ id: '7', kind: 'wallet.low', title: 'Your balance is low', body: 'It is low.', data: {} },
  ...{ is_mailed: false, is_seen: false, created_at: '2026-02-11T12:00:00Z' },
};

/** A server that remembers for the account what was seen, as the real one does. */
function serve(isNew: number): { readonly seen: string[]; readonly asked: number } {
  const account = { isNew, seen: [] as string[], asked: 0 };
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    if (path.includes('/notices/seen')) {
      if (init.method === 'PUT') {
        account.seen.push((JSON.parse(init.body as string) as { id: string }).id);
        account.isNew = 0;
      }
      account.asked += 1;
      return Promise.resolve(Response.json({ new: account.isNew }));
    }
    return Promise.resolve(Response.json({ items: [NOTICE], total: 1, next: null }));
  });
  return account;
}

/** Its own cache, as every tab has one. */
function tab(shown: React.ReactNode): void {
  render(
    <QueryClientProvider client={makeQueryClient()}>
      <MemoryRouter>{shown}</MemoryRouter>
    </QueryClientProvider>,
  );
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test('the badge says how many are new, and nothing where none is', async () => {
  serve(3);
  tab(<NewNotices />);
  await screen.findByRole('img', { name: '3 new' });
  cleanup();
  serve(120);
  tab(<NewNotices />);
  await screen.findByRole('img', { name: '99+ new' });
});

test('who reads the page has seen the newest, and another tab hears of it', async () => {
  const account = serve(2);
  tab(<NewNotices />);
  await screen.findByRole('img', { name: '2 new' });
  tab(<Notices />);
  await screen.findByText('It is low.');
  await waitFor(() => {
    expect(screen.queryByRole('img', { name: /new/ })).toBeNull();
  });
  expect(new Set(account.seen)).toEqual(new Set(['7']));
});

test('nothing is written where nothing is new', async () => {
  const account = serve(0);
  tab(<Notices />);
  await screen.findByText('It is low.');
  await waitFor(() => {
    expect(account.asked).toBeGreaterThan(0);
  });
  await new Promise((resolve) => setTimeout(resolve)); // the page has had its turn
  expect(account.seen).toEqual([]);
});
