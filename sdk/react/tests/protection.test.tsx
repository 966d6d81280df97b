/** The dialog as people meet it: what they see, what they can do, and when the call is let happen. */
import { act, cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import { StrictMode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import BalanceProtection, {
  BalanceProtection as Named,
  type BalanceProtectionProps,
} from '../src/index.js';
import { FakeServer, refusal } from './server.js';

let server: FakeServer;
const onProceed = vi.fn();
const onCancel = vi.fn();

beforeEach(() => {
  server = new FakeServer();
  server.balance(100, 60);
  onProceed.mockReset();
  onCancel.mockReset();
});

afterEach(cleanup);

function dialog(props: Partial<BalanceProtectionProps> = {}) {
  return (
    <BalanceProtection
      modelName="gpt-4"
      estimatedInputTokens={1000}
      estimatedOutputTokens={500}
      onProceed={onProceed}
      onCancel={onCancel}
      {...props}
    />
  );
}

function button(name: string): HTMLElement {
  return screen.getByRole('button', { name });
}

function figure(name: string): string | null | undefined {
  return screen.queryByText(name, { selector: 'dt' })?.nextElementSibling?.textContent;
}

it('is the default export, too', () => {
  expect(BalanceProtection).toBe(Named);
});

describe('with enough points', () => {
  it('shows what it will cost and lets the call happen, once', async () => {
    render(dialog());
    expect(screen.getByRole('status').textContent).toBe('Checking your points…');
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
    await screen.findByText('You have enough points.');
    expect([figure('Model'), figure('Estimated cost'), figure('Your balance')]).toEqual([
      'gpt-4',
      '60',
      '100',
    ]);
    expect(figure('Missing')).toBeUndefined();
    fireEvent.click(button('Continue'));
    fireEvent.click(button('Continue'));
    expect([onProceed.mock.calls.length, onCancel.mock.calls.length]).toEqual([1, 0]);
  });

  it('asks once under StrictMode as far as anybody can see', async () => {
    render(<StrictMode>{dialog()}</StrictMode>);
    await screen.findByText('You have enough points.');
    fireEvent.click(button('Continue'));
    expect(onProceed).toHaveBeenCalledTimes(1);
  });

  it('is asked again when what it asks for changes, and the old answer is worth nothing', async () => {
    const { rerender } = render(dialog());
    await screen.findByText('You have enough points.');
    server.balance(100, 600);
    rerender(dialog({ estimatedOutputTokens: 50_000 }));
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
    await screen.findByText('You do not have enough points.');
    expect(onProceed).not.toHaveBeenCalled();
  });

  it('a slow answer to a question before changes nothing', async () => {
    let release: () => void = () => undefined;
    const late = new Promise<void>((resolve) => (release = resolve));
    const check = 'POST /api/user/points/check-balance';
    const enough = { body: { canProceed: true, balance: 9, estimated: 1, shortfall: 0 } };
    server.answers.set(check, async () => {
      await late;
      return enough;
    });
    const { rerender } = render(dialog());
    await waitFor(() => expect(server.made('POST')).toHaveLength(1));
    server.balance(1, 5);
    rerender(dialog({ modelName: 'bigger' }));
    await screen.findByText('You do not have enough points.');
    await act(async () => release());
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
  });
});

describe('short of points', () => {
  beforeEach(() => server.balance(12.5, 60));

  it('blocks, and shows what is missing and where to get it', async () => {
    render(dialog({ topUpUrl: '/top-up' }));
    await screen.findByText('You do not have enough points.');
    expect(figure('Missing')).toBe('47.5');
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
    expect(screen.getByRole('link', { name: 'Top up' }).getAttribute('href')).toBe('/top-up');
    fireEvent.click(button('Cancel'));
    expect([onProceed.mock.calls.length, onCancel.mock.calls.length]).toEqual([0, 1]);
  });

  it('shows no link where nobody knows one', async () => {
    render(dialog());
    await screen.findByText('You do not have enough points.');
    expect(screen.queryByRole('link')).toBeNull();
  });

  it('looks again when it is told to, or when the user comes back', async () => {
    render(dialog());
    await screen.findByText('You do not have enough points.');
    server.balance(50, 60);
    fireEvent.click(button('Check again'));
    await waitFor(() => expect(figure('Missing')).toBe('10'));
    server.balance(100, 60);
    fireEvent(document, new Event('visibilitychange'));
    await screen.findByText('You have enough points.');
    fireEvent.click(button('Continue'));
    expect(onProceed).toHaveBeenCalledTimes(1);
  });

  it('is not talked out of it by an answer that only looks like yes', async () => {
    const body = { canProceed: 'yes', balance: 1, estimated: 2, shortfall: 1 };
    server.answers.set('POST /api/user/points/check-balance', { body });
    render(dialog());
    await screen.findByText('You do not have enough points.');
  });
});

describe('when it can not be known', () => {
  it('says why, and lets the user try again', async () => {
    const refused = refusal(422, 'unknown_model', 'no model is named gpt-4');
    server.answers.set('POST /api/user/points/check-balance', refused);
    render(dialog());
    await screen.findByText('no model is named gpt-4');
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
    server.balance(100, 60);
    fireEvent.click(button('Check again'));
    await screen.findByText('You have enough points.');
  });

  it('nothing is let through while the server is away', async () => {
    server.isAway = true;
    render(dialog());
    await screen.findByText('Your points can not be checked right now.');
    expect(screen.queryByRole('button', { name: 'Continue' })).toBeNull();
  });

  it('whoever is not signed in is asked to', async () => {
    server.csrfToken = null;
    render(dialog());
    await screen.findByText('Sign in to use your points.');
    fireEvent.click(button('Close'));
    expect(onCancel).toHaveBeenCalledTimes(1);
  });

  it.each([false, null])(
    'switched off on the server it is a friendly note: %s',
    async (enabled) => {
      server.isEnabled = enabled;
      render(dialog());
      await screen.findByText(/switched off here/);
      expect(screen.getAllByRole('button').map((one) => one.textContent)).toEqual(['Close']);
      expect(server.made('POST')).toEqual([]);
    },
  );

  it('gone before the answer, it says nothing more', async () => {
    const complained = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const { unmount } = render(dialog());
    unmount();
    await act(async () => undefined);
    expect(complained).not.toHaveBeenCalled();
  });
});

describe('by keyboard and screen reader', () => {
  it('is a named modal dialog that has the focus', async () => {
    render(dialog());
    const box = screen.getByRole('dialog', { name: 'Points for this request' });
    expect(box.getAttribute('aria-modal')).toBe('true');
    expect(document.activeElement).toBe(box);
    expect(within(box).getByRole('status')).toBeTruthy();
    await screen.findByText('You have enough points.');
  });

  it('Escape cancels', async () => {
    render(dialog());
    await screen.findByText('You have enough points.');
    fireEvent.keyDown(screen.getByRole('dialog'), { key: 'Escape' });
    expect(onCancel).toHaveBeenCalledTimes(1);
  });

  it('Tab stays inside, both ways around', async () => {
    render(dialog());
    await screen.findByText('You have enough points.');
    const box = screen.getByRole('dialog');
    button('Continue').focus();
    fireEvent.keyDown(box, { key: 'Tab' });
    expect(document.activeElement).toBe(button('Cancel'));
    fireEvent.keyDown(box, { key: 'Tab', shiftKey: true });
    expect(document.activeElement).toBe(button('Continue'));
    box.focus();
    fireEvent.keyDown(box, { key: 'Tab', shiftKey: true });
    expect(document.activeElement).toBe(button('Continue'));
  });

  it('the focus is not lost with the button that had it, and goes back in the end', async () => {
    server.balance(1, 60);
    const opener = document.createElement('button');
    document.body.append(opener);
    opener.focus();
    const { unmount } = render(dialog());
    await screen.findByText('You do not have enough points.');
    button('Check again').focus();
    server.balance(100, 60);
    fireEvent.click(button('Check again'));
    await screen.findByText('You have enough points.');
    expect(screen.getByRole('dialog').contains(document.activeElement)).toBe(true);
    unmount();
    expect(document.activeElement).toBe(opener);
    opener.remove();
  });
});

describe('in other words', () => {
  it.each([
    ['zh-CN', '积分不足。', '还差'],
    ['zh-TW', '點數不足。', '尚差'],
  ] as const)('speaks %s', async (locale, short, missing) => {
    server.balance(0, 1234.5);
    render(dialog({ locale }));
    await screen.findByText(short);
    expect(figure(missing)).toBe('1,234.5');
    expect(screen.getByRole('dialog').lang).toBe(locale);
  });

  it('speaks the language of the page', async () => {
    document.documentElement.lang = 'zh-Hant';
    render(dialog());
    await screen.findByText('點數充足。');
    document.documentElement.lang = '';
  });

  it('takes words of the page’s own', async () => {
    render(dialog({ labels: { proceed: 'Ask the model' } }));
    await screen.findByText('You have enough points.');
    fireEvent.click(button('Ask the model'));
    expect(onProceed).toHaveBeenCalledTimes(1);
  });

  it('takes content of the page’s own, which can not let a call happen without points', async () => {
    server.balance(1, 60);
    render(
      dialog({
        className: 'mine',
        children: (state) => (
          <button type="button" onClick={state.proceed}>
            {state.phase} {state.check?.shortfall}
          </button>
        ),
      }),
    );
    fireEvent.click(await screen.findByText('short 59'));
    expect(onProceed).not.toHaveBeenCalled();
    expect(screen.getByRole('dialog').className).toBe('mine');
  });

  it('shows a page’s own explanation', async () => {
    render(dialog({ children: <p>A report of 20 pages</p> }));
    await screen.findByText('You have enough points.');
    expect(screen.getByText('A report of 20 pages')).toBeTruthy();
  });

  it('shows names as text, whatever they look like', async () => {
    render(dialog({ modelName: '<img src=x onerror=alert(1)>' }));
    await screen.findByText('You have enough points.');
    expect(figure('Model')).toBe('<img src=x onerror=alert(1)>');
    expect(document.querySelector('img')).toBeNull();
  });
});
