// @vitest-environment jsdom
// What is done with many rows at once: named before, counted while, and kept where it failed.

import { cleanup, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { App } from 'antd';
import { afterEach, expect, test, vi } from 'vitest';
import type { Result } from '../api/errors';
import { BulkBar } from '../ui/BulkBar';

afterEach(cleanup);

const ERROR = { code: 'conflict', message: 'it is in use', requestId: '', status: 409 };

test('the question names the rows, and those that failed stay selected', async () => {
  const rows = Array.from({ length: 10 }, (_, place) => `row-${place}`);
  const onDone = vi.fn();
  const act = (row: string): Promise<Result<null>> =>
    Promise.resolve(row === 'row-3' ? { ok: false, error: ERROR } : { ok: true, value: null });
  const remove = {
    key: 'remove',
    label: 'Delete',
    question: (some: readonly string[]) => `Delete ${some.length} rows?`,
    act,
    onDone: () => Promise.resolve(),
  };
  render(
    <App>
      <BulkBar rows={rows} actions={[remove]} nameOf={(row) => row} onDone={onDone} />
    </App>,
  );
  await userEvent.click(screen.getByRole('button', { name: 'Delete' }));
  const question = within(await screen.findByRole('dialog'));
  expect(question.getAllByText('Delete 10 rows?').length).toBeGreaterThan(0);
  question.getByText('row-7');
  question.getByText('and 2 more');
  question.getByText('This can not be undone.');
  await userEvent.click(question.getByRole('button', { name: 'Delete' }));
  await waitFor(() => {
    expect(onDone).toHaveBeenCalledWith(['row-3']);
  });
  await screen.findByText(/Done: 9. Failed: 1.*it is in use/);
});
