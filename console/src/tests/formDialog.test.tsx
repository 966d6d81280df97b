// @vitest-environment jsdom
// A form in a dialog: each opening begins with what it is opened for, whatever was open before.

import { cleanup, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { App, Form, Input } from 'antd';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FormDialog } from '../ui/FormDialog';

const SAVED = { ok: true, value: null } as const;

function shown(label: string | null) {
  return (
    <App>
      <FormDialog
        title="Edit"
        isOpen={label !== null}
        initial={{ label: label ?? '' }}
        onSubmit={() => Promise.resolve(SAVED)}
        onClose={vi.fn()}
      >
        <Form.Item name="label" label="Label">
          <Input />
        </Form.Item>
      </FormDialog>
    </App>
  );
}

beforeEach(() => {
  const nothing = { observe: vi.fn(), unobserve: vi.fn(), disconnect: vi.fn() };
  vi.stubGlobal('ResizeObserver', function () {
    return nothing;
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function labelIs(value: string): Promise<void> {
  await waitFor(() => {
    expect(screen.getByLabelText<HTMLInputElement>('Label').value).toBe(value);
  });
}

test('what is edited after something was added is shown as it is, and not empty', async () => {
  const { rerender } = render(shown(''));
  await userEvent.type(screen.getByLabelText('Label'), 'Support bot');
  rerender(shown(null)); // saved and closed
  rerender(shown('Marketing site'));
  await labelIs('Marketing site');
});
